#!/bin/sh
# Every instruction on an emulator, divided over the tasks of an array, into one PostgreSQL:
#
#   sbatch --export=ALL,SNIPPEX_DATABASE=postgres://USER@HOST/snippex deploy/slurm/snippex-sweep.sh
#   snippex bugs
#
# The password is best kept in ~/.pgpass, since the environment of a job can be read by others.
#SBATCH --job-name=snippex-sweep
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --output=snippex-sweep-%A-%a.log
set -eu
: "${SNIPPEX_DATABASE:?set it to the PostgreSQL that all tasks write to}"
# An array that was begun with other limits is divided by what it has, from the first task on.
part=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))
ended=0
snippex check --generated -e "${ENGINE:-qemu-x86_64}" --threads "${SLURM_CPUS_PER_TASK:-1}" \
    --partition "$part/$SLURM_ARRAY_TASK_COUNT" || ended=$?
# 1 says that bugs were found, which is what a sweep is for.
[ "$ended" -le 1 ]
