#!/bin/bash
#SBATCH --job-name=aibnet
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
# Trains the option file OPT over as many jobs as it takes. sbatch --export=ALL,OPT=options/AIBNet-S_GoPro.yml docs/slurm.sh
#
# --signal: this shell gets SIGUSR1 300 seconds before the limit of time. Longer than an iteration, a picture of
# validation and a checkpoint together; and torchrun gives its processes 30 seconds unless told otherwise.
export AIBNET_EXIT_FILE="$PWD/exit_code.$SLURM_JOB_ID"
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=240

torchrun --standalone --nproc_per_node="${PROCESSES:-8}" -m aibnet_arch train -opt "$OPT" --launcher pytorch --auto_resume &
training=$!
trap 'kill -TERM "$training"' USR1 TERM
wait "$training"                                         # a signal ends this wait
while kill -0 "$training" 2>/dev/null; do wait "$training"; done  # until the run has saved

code=$(cat "$AIBNET_EXIT_FILE" 2>/dev/null || echo 1)    # torchrun itself returns 1 whenever one process does not return 0
rm -f "$AIBNET_EXIT_FILE"
if [ "$code" = 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$code"
