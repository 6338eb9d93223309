#!/bin/sh
# Checks a tree or a bucket by several processes of this machine (GNU parallel), and judges the
# whole. Started again on the same day, it does only what is not done.
#
#   parallel.sh TARGET FOLDER [SHARDS] [OPTION…]
#
# FOLDER gets a folder of the day (in UTC; RUN names another one) with the shards' reports. OPTIONs
# go to check: --keyring FILE and the like.
set -eu
target=$1 folder=$2/${RUN:-$(date -u +%F)} shards=${3:-$(nproc)}
shift $(($# < 3 ? $# : 3))
program=${BINLOGSEC:-binlogsec}
mkdir -p "$folder"
seq 0 $((shards - 1)) | parallel --halt soon,fail=1 \
    "$program" check "$target" "$@" --quiet --resume \
    --shard "{}/$shards" --report "json=$folder/shard-{}.json"
exec "$program" report merge "$folder"/shard-*.json
