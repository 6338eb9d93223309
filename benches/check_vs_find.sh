#!/usr/bin/env bash
# Times `binlogsec check` over many small files against `find DIR -type f`, warm, in one run and in
# turn. Beside them the floor: the same system calls on each file without any judgement
# (`cargo build --profile dist --example check_floor`), if it is built.
#   benches/check_vs_find.sh [BINARY] [FILES] [FLOOR]
# Two trees: copies of an encrypted log, and files that are no logs.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:-target/dist/binlogsec}
files=${2:-100000}
rounds=9
threads=$(nproc)
floor=${3:-target/dist/examples/check_floor}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

fill() { # DIRECTORY SOURCE NAME: a thousand files in each directory
    mkdir -p "$1/0"
    for number in {000..999}; do cp "$2" "$1/0/$3$number"; done
    for ((directory = 1; directory * 1000 < files; directory++)); do
        cp -r "$1/0" "$1/$directory"
    done
}

microseconds() { # COMMAND...: how long it takes
    local start end
    start=$(date +%s%N)
    "$@" > /dev/null || true
    end=$(date +%s%N)
    echo $(((end - start) / 1000))
}

summary() { # NAME FIND-MIN TIMES...: minimum, median, ratio of the minimum to that of find
    local name=$1 find=$2
    shift 2
    printf '%s\n' "$@" | sort -n | awk -v name="$name" -v find="$find" '
        { times[NR] = $1 }
        END {
            printf "  %-22s min %6.1f ms  median %6.1f ms  ratio %.1f\n", name,
                times[1] / 1000, times[int((NR + 1) / 2)] / 1000, times[1] / find
        }'
}

printf 'x%.0s' {1..700} > "$tree/text"
fill "$tree/logs" fixtures/mysql-9.7/compressed/binlog.000008 binlog.000
fill "$tree/text-files" "$tree/text" note
for what in logs text-files; do
    echo "$what: $(find "$tree/$what" -type f | wc -l) files, $rounds rounds, $threads threads"
    find_times=() check_times=() floor_times=()
    for ((round = 0; round < rounds; round++)); do
        find_times+=("$(microseconds find "$tree/$what" -type f)")
        check_times+=("$(microseconds "$binary" check "$tree/$what" --no-progress)")
        [ ! -x "$floor" ] || floor_times+=("$(microseconds "$floor" "$tree/$what" "$threads")")
    done
    fastest=$(printf '%s\n' "${find_times[@]}" | sort -n | head -n 1)
    summary "find -type f" "$fastest" "${find_times[@]}"
    [ ! -x "$floor" ] || summary "floor" "$fastest" "${floor_times[@]}"
    summary "binlogsec check" "$fastest" "${check_times[@]}"
done
