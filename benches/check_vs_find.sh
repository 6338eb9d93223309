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

fill() { # DIRECTORY SOURCE
    for ((directory = 0; directory * 1000 < files; directory++)); do
        mkdir -p "$1/$directory"
        for ((number = 0; number < 1000; number++)); do
            printf '%s\0' "$1/$directory/binlog.$((100000 + number))"
        done | xargs -0 -n 500 tee < "$2" > /dev/null
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
fill "$tree/logs" fixtures/mysql-9.7/compressed/binlog.000008
fill "$tree/text-files" "$tree/text"
find "$tree/text-files" -type f -name 'binlog.*' -exec bash -c 'for f; do mv "$f" "${f%/*}/t${f##*.}"; done' _ {} +
for what in logs text-files; do
    find_time=$(best find "$tree/$what" -type f)
    check_time=$(best "$binary" check "$tree/$what" --no-progress)
    count=$(find "$tree/$what" -type f | wc -l)
    echo "$what: $count files; find $find_time ms; check $check_time ms; ratio $(awk "BEGIN { printf \"%.1f\", $check_time / $find_time }")"
done
