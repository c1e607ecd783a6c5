#!/usr/bin/env bash
# Runs one item on a machine with a GPU, in limited time, and leaves its results in a few small files:
#
#     scripts/gpu.sh ITEM [--minutes M] [options of the experiments' command line, such as --device cpu or --seeds 3]
#     scripts/gpu.sh collect FOLDER       in a checkout elsewhere: puts the results in place, and the run goes on there
#
# ITEM is "tests" (pytest -m device) or an experiment with a preset "gpu": step-cost, seven-functions, figure-2-variants,
# atari-distillation, synthetic-gradients-cifar10, atari-teachers. Needed: Python 3.10 or newer with PyTorch, NumPy,
# safetensors, tqdm, scikit-learn, and pytest for the tests. What else an item needs may lie beside this checkout's files, and no network is:
#
#     gpu-wheels/    wheels (ale-py and gymnasium for Atari games), unpacked for this run only
#     gpu-data/      recorded Atari states (GAME.states, as sobolev_lib.atari record --pack writes them), packed images
#
# Results go to $OUT, or to gpu-results/: log.txt, gpu-use.csv, and an archive in up to four pieces of 16 MB.
set -euo pipefail
python=${PYTHON:-python3}
item=${1:?"what is to run? $(sed -n '4,5s/^# *//p' "$0")"}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

if [ "$item" = collect ]; then
    exec "$python" "$root/scripts/gpu_results.py" collect "${1:?a folder with results}"
fi
cd "$root"

minutes=6
options=("$@")
for ((k = 0; k < $#; k++)); do
    case "${options[k]} ${options[k + 1]:-}" in
        "--minutes "*) minutes=${options[k + 1]:-$minutes} ;;
        --minutes=*) minutes=${options[k]#*=} ;;
        "--device cpu" | --device=cpu*) export CUDA_VISIBLE_DEVICES= ;;
    esac
done
processes=1
case $item in
    seven-functions) seeds=10 ;;
    atari-distillation) seeds=5 processes=3 ;;             # one a game: while one plays, the others have the card
    synthetic-gradients-cifar10) seeds=3 processes=10 ;;    # one a unit: small steps leave the card idle in between
    *) seeds=5 ;;
esac

out=${OUT:-gpu-results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/log.txt "$out"/gpu-use.csv "$out"/results.zip.*
unpacked=$(mktemp -d)
began=$("$python" scripts/gpu_results.py begin "$item")
trap 'rm -rf "$unpacked"; kill $(jobs -p) 2>/dev/null || true' EXIT

if compgen -G "gpu-wheels/*.whl" >/dev/null; then
    "$python" -m pip install --quiet --no-index --no-deps --target "$unpacked" gpu-wheels/*.whl 2>&1 | tee -a "$out/log.txt"
    export PYTHONPATH="$PYTHONPATH:$unpacked"
fi
if [ -d gpu-data ]; then
    export SOBOLEV_DATA=${SOBOLEV_DATA:-$PWD/gpu-data} SOBOLEV_CACHE=${SOBOLEV_CACHE:-$PWD/gpu-data}
    if [[ $item = atari-* ]] && compgen -G "gpu-data/*.states" >/dev/null; then
        printf '%s\0' gpu-data/*.states | xargs -0 -n 1 -P 4 "$python" -m sobolev_lib.atari unpack | tee -a "$out/log.txt"
    fi
fi
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=timestamp,utilization.gpu,memory.used --format=csv --loop=5 >"$out/gpu-use.csv" 2>&1 &
fi

if [ "$item" = tests ]; then
    # other versions than the project's pins may warn of other things: shown, but no failure
    command=("$python" -m pytest -m device -q -p no:cacheprovider -W default)
    if "$python" -c "import xdist" 2>/dev/null; then command+=(-n 8); fi
    export OMP_NUM_THREADS=1
else
    command=("$python" -m)
    if [ "$processes" -gt 1 ]; then command+=(torch.distributed.run --nproc-per-node "$processes" -m); fi
    command+=(sobolev_lib.experiments run "$item" --preset gpu --seeds "$seeds" --minutes "$minutes" "${options[@]}")
fi
# an experiment ends by itself at its next checkpoint; else it is stopped a minute later, and goes on from its last one
seconds=$("$python" -c "print(round(60 * $minutes + 60))")
echo "${command[*]}" >>"$out/log.txt"
status=0
timeout --kill-after=10 "$seconds" "${command[@]}" 2>&1 | tee -a "$out/log.txt" || status=$?
if [ "$item" != tests ]; then
    "$python" scripts/gpu_results.py pack "$item" "$out" "$began" 2>&1 | tee -a "$out/log.txt"
fi
exit $status
