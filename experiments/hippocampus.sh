#!/usr/bin/env bash
# Hippocampus with few labelled cases: masked reconstruction and CPC against scratch, by the recipe as it was and as it is.
#   STEPS=5000 bash experiments/hippocampus.sh Task04_Hippocampus runs/hippocampus
# Half of the cases train, and are all that an encoder sees; four of ten test. Folds would test every case, but on
# encoders that have seen it, unless each fold had encoders of its own.
source "$(dirname "$0")/common.sh"

"$PYTHON" -m tools.to_tfrecord --input="$RAW" --output="$OUT/data" --name=Hippocampus --splits=0.5,0.1,0.4

SHAPE=(--gin_param=FILTERS=16 --gin_param=LEVELS=2 --gin_param=VIEW_SIZE=32)
pretrain masked masked_3d --gin_param=BATCH_SIZE=8 --gin_param=BLOCK=4
pretrain cpc cpc_3d --gin_param=BATCH_SIZE=8

# Front and back are the classes, so no flips.
labels=(--gin_param="CASES=${CASES:-(1,2,4,8)}" --gin_param="SCORES=('dice',)" --gin_param=BATCH_SIZE=4 --gin_param=FLIP_P=0
    --gin_param=scoring.segmentation.batch_size=16)
new=("${labels[@]}" --gin_param="PEAKS=$PEAKS")
finetune segmentation_3d decoders "masked" "${new[@]}" \
    --gin_param="TRANSFER='encoder_decoder'" --gin_param="ARMS=('random','pretrained')"
finetune segmentation_3d encoders "cpc" "${new[@]}" --gin_param="ARMS=('pretrained',)"
report report decoders encoders

# As it was: the head alone for a third of the steps, no second ramp, one learning rate.
finetune segmentation_3d old "masked cpc" "${labels[@]}" --gin_param="ARMS=('random','pretrained')" \
    --gin_param=WARMUP_STEPS=0.333 --gin_param=RAMP_STEPS=0 --gin_param=LEARNING_RATE=3e-3
