#!/bin/sh
# Checks a tree or a bucket by an array of Slurm tasks, and judges the whole.
#
#   export TARGET=/archive FOLDER=/shared/check/$(date -u +%F) BINLOGSEC_SHARDS=64
#   shards=$(sbatch --parsable --array=0-$((BINLOGSEC_SHARDS - 1)) slurm.sh)
#   sbatch --dependency="afterok:$shards" slurm.sh merge
#
# Tasks that failed are submitted again by their numbers (--array=3,17); those that are done find
# their reports: each run wants a FOLDER of its own, which all nodes see. KEYRING, if set, names the keys.
#SBATCH --job-name=binlogsec
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=04:00:00
#SBATCH --output=binlogsec-%A-%a.out
set -eu
program=${BINLOGSEC:-binlogsec}
if [ "${1:-}" = merge ]; then
    exec "$program" report merge "$FOLDER"/shard-*.json
fi
mkdir -p "$FOLDER"
exec "$program" check "$TARGET" ${KEYRING:+--keyring "$KEYRING"} --quiet --resume \
    --shard auto --report "json=$FOLDER/shard-$SLURM_ARRAY_TASK_ID.json"
