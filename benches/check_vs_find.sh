#!/usr/bin/env bash
# Times `binlogsec check` over many small files against `find DIR -type f`, warm, in one run.
#   benches/check_vs_find.sh [BINARY] [FILES]
# Two trees: copies of an encrypted log, and files that are no logs.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:-target/release/binlogsec}
files=${2:-100000}
rounds=5
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

fill() { # DIRECTORY SOURCE NAME: a thousand files in each directory
    mkdir -p "$1/0"
    for number in {000..999}; do cp "$2" "$1/0/$3$number"; done
    for ((directory = 1; directory * 1000 < files; directory++)); do
        cp -r "$1/0" "$1/$directory"
    done
}

best() { # COMMAND...: the fastest of the rounds, in milliseconds
    local fastest=999999999
    for ((round = 0; round < rounds; round++)); do
        local start end
        start=$(date +%s%N)
        "$@" > /dev/null || true
        end=$(date +%s%N)
        ((end - start < fastest)) && fastest=$((end - start))
    done
    echo $((fastest / 1000000))
}

printf 'x%.0s' {1..700} > "$tree/text"
fill "$tree/logs" fixtures/mysql-9.7/compressed/binlog.000008 binlog.000
fill "$tree/text-files" "$tree/text" note
for what in logs text-files; do
    find_time=$(best find "$tree/$what" -type f)
    check_time=$(best "$binary" check "$tree/$what" --no-progress)
    count=$(find "$tree/$what" -type f | wc -l)
    echo "$what: $count files; find $find_time ms; check $check_time ms; ratio $(awk "BEGIN { printf \"%.1f\", $check_time / $find_time }")"
done
