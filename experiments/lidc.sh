#!/usr/bin/env bash
# LIDC nodules, benign or malignant: frozen encoders under a linear layer, and finetuned ones, beside the diameter alone.
#   STEPS=5000 bash experiments/lidc.sh LIDC_VOIs runs/lidc
# LIDC_VOIs: nodules.csv with path, label, patient, diameter_mm, and the volumes around one nodule each that it names.
source "$(dirname "$0")/common.sh"

"$PYTHON" -m tools.to_tfrecord --input="$RAW/nodules.csv" --output="$OUT/data" --name=LIDC \
    --spacing_mm=1 --intensity=ct_window:-1000,400 --splits=0.6,0.1,0.3
"$PYTHON" -m experiments.diameter "$RAW/nodules.csv" "$OUT/data" # the AUC to beat

SHAPE=(--gin_param=FILTERS=16 --gin_param=LEVELS=2 --gin_param=VIEW_SIZE=32)
pretrain masked masked_3d --gin_param=BATCH_SIZE=8 --gin_param=BLOCK=4
pretrain masked+contrast crops_masked_3d --gin_param=BATCH_SIZE=8 --gin_param=BLOCK=4 --gin_param=VIEW_SIZE=30 # crops of 20
for task in cpc rotation; do pretrain $task ${task}_3d --gin_param=BATCH_SIZE=8; done

finetune classification_3d nodules "masked masked+contrast cpc rotation" --gin_param="FRACTIONS=${FRACTIONS:-(10,100)}" \
    --gin_param="ARMS=('random','pretrained','linear')" --gin_param="PEAKS=$PEAKS" --gin_param=BATCH_SIZE=16 --gin_param="SCORES=('auc',)"
report report nodules
