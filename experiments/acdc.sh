#!/usr/bin/env bash
# ACDC, hearts in slices: what masked reconstruction, with and without contrast, CPC and rotation gain over scratch.
#   STEPS=5000 bash experiments/acdc.sh ACDC runs/acdc
# ACDC: images/patientNNN_frameNN.nii.gz and masks/ with the same names, two frames of each of 60 patients.
# The patient is the unit. The primary comparison, named before the runs: masked reconstruction, encoder and decoder,
# two labelled patients, Dice of whole stacks.
source "$(dirname "$0")/common.sh"

# Of every ten patients in order of their numbers, which go by disease, five train, one validates, four test.
mkdir -p "$OUT/cases"
(cd "$RAW/images" && ls -- *.nii.gz) | awk -F_ -v raw="$RAW" '
    BEGIN { split("train test train test train val train test train test", of, " "); print "path,mask,patient,split" }
    $1 != last { n++; last = $1 }
    { print raw "/images/" $0 "," raw "/masks/" $0 "," $1 "," of[(n - 1) % 10 + 1] }' >"$OUT/cases/cases.csv"
"$PYTHON" -m tools.to_tfrecord --input="$OUT/cases/cases.csv" --allow_outside --output="$OUT/data" --name=ACDC \
    --slices=axial --shape=128,128

SHAPE=(--gin_param=FILTERS=16 --gin_param=LEVELS=4 --gin_param=VIEW_SIZE=128)
for task in masked cpc rotation; do pretrain $task ${task}_2d --gin_param=BATCH_SIZE=16; done
pretrain masked+contrast crops_masked_2d --gin_param=BATCH_SIZE=16 --gin_param=VIEW_SIZE=120 # two crops of 80

labels=(--gin_param="CASES=${CASES:-(2,5,30)}" --gin_param="SCORES=('stack_dice','dice')" --gin_param=BATCH_SIZE=8
    --gin_param="PEAKS=$PEAKS" --gin_param=scoring.segmentation.batch_size=32)
finetune segmentation_2d decoders "masked masked+contrast" "${labels[@]}" \
    --gin_param="TRANSFER='encoder_decoder'" --gin_param="ARMS=('random','pretrained')"
finetune segmentation_2d encoders "cpc rotation" "${labels[@]}" --gin_param="ARMS=('pretrained',)"
report report decoders encoders
