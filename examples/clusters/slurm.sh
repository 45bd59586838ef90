#!/bin/bash
# Trains on several nodes of a Slurm cluster: sbatch examples/clusters/slurm.sh
#SBATCH --job-name=vae
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
# Two minutes before the time is up all workers are told to stop; they save and end with
# status 143. Submit the script again: it goes on where it was.
DATA=${DATA:-faces.h5} MODEL=${MODEL:-model}
again=; if [ -d "$MODEL/checkpoints" ]; then again=--resume; fi
export DATA MODEL again

# Each task tells TensorFlow all addresses, and which of them is its own. Several tasks a
# node get ports one after another; the job's number keeps jobs apart.
worker='
port=$((20000 + SLURM_JOB_ID % 20000)) list=
each=$((SLURM_NTASKS / SLURM_JOB_NUM_NODES))
for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
    for ((task = 0; task < each; task++)); do
        list="$list${list:+, }\"$host:$((port + task))\""
    done
done
export TF_CONFIG="{\"cluster\": {\"worker\": [$list]},
    \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
exec vae train $again "$DATA" "$MODEL"
'
exec srun --kill-on-bad-exit=0 bash -c "$worker"
