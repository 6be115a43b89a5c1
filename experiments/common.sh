# What the experiments share; each is: STEPS=5000 bash experiments/NAME.sh DATA OUT [flags of every training command]
#   DATA   folder of the raw data, see docs/experiments.md
#   OUT    folder for all that is made; the same command again goes on where it was stopped
#   STEPS  updates of every pretraining run; finetuning takes as many, but FINETUNE_STEPS (1000) at most
#   REPETITIONS  of every arm (4)
#   TASKS  'masked cpc': makes and finetunes these pretraining runs of the experiment only, beside scratch
set -euo pipefail
# The command at work saves and ends well, so that the next one would begin with what is half done.
trap 'echo "stopped: the same line goes on." >&2; exit 130' INT TERM USR1
[[ $# -ge 2 && -d $1 ]] || { echo "usage: [STEPS=5000] bash $0 DATA OUT [--gin_param=…]; DATA is a folder" >&2; exit 2; }
RAW=$(realpath "$1")
mkdir -p "$2"
OUT=$(realpath "$2")
shift 2
MORE=("$@")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python)}
STEPS=${STEPS:-5000}
REPETITIONS=${REPETITIONS:-4}
PEAKS=${PEAKS:-(3e-4,1e-3,3e-3)} # learning rates of which each arm takes its best in validation; (): that of the file
FINETUNE_STEPS=${FINETUNE_STEPS:-$((STEPS < 1000 ? STEPS : 1000))}
MADE=() # names of the finetuning runs
SHAPE=() # flags of the network and of its views, the same in pretraining and finetuning; each experiment sets it

chosen() { # names … -> those of TASKS, all where it is not set
    local name
    for name in "$@"; do [[ -z ${TASKS:-} || " $TASKS " == *" $name "* ]] && echo "$name"; done
    return 0
}

pretrain() { # name, gin/FILE.gin, flags … -> OUT/pre/NAME
    [[ -n $(chosen "$1") ]] || return 0
    "$PYTHON" -m ssl3d_tf.train --gin_file="gin/$2.gin" --data="$OUT/data" --workdir="$OUT/pre/$1" \
        --gin_param=STEPS="$STEPS" --gin_param=EVAL_EVERY=$(((STEPS + 9) / 10)) \
        --gin_param=SAVE_EVERY=$(((STEPS + 9) / 10)) "${SHAPE[@]}" "${@:3}" "${MORE[@]}"
}

finetune() { # gin/finetune/KIND.gin, name, encoders as 'a b', flags … -> OUT/NAME; a run that failed is tried again next time
    local encoders=()
    for name in $(chosen $3); do encoders+=(--encoder="$OUT/pre/$name"); done
    ((${#encoders[@]})) || return 0
    MADE+=("$2")
    "$PYTHON" -m ssl3d_tf.finetune --gin_file="gin/finetune/$1.gin" --data="$OUT/data" "${encoders[@]}" \
        --workdir="$OUT/$2" --gin_param=STEPS="$FINETUNE_STEPS" --gin_param=REPETITIONS="$REPETITIONS" \
        --gin_param=EVAL_EVERY=$(((FINETUNE_STEPS + 9) / 10)) --gin_param=SAVE_EVERY=$(((FINETUNE_STEPS + 9) / 10)) \
        "${SHAPE[@]}" "${@:4}" "${MORE[@]}"
}

report() { # name, workdirs … of OUT, of which those are taken that TASKS made -> OUT/NAME/report.html, summary.md and figures
    local where="$OUT/$1" workdirs=() name
    for name in "${@:2}"; do [[ " ${MADE[*]} " != *" $name "* ]] || workdirs+=("$OUT/$name"); done
    mkdir -p "$where"
    "$PYTHON" -m ssl3d_tf.report "${workdirs[@]}" --output="$where" --figures="$where"
}
