"""What is compared: arms × fractions × repetitions, checked, run and scored; and audits of a pretrained network."""
