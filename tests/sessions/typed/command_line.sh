bitsmith --help
bitsmith doctor
bitsmith convert classifier.keras --calibration x_train.npy -o digits
bitsmith explain classifier.keras --calibration x_train.npy --bits 8 --write digits.yml
bitsmith config classifier.keras --granularity name -o edit.yml
bitsmith predict classifier.keras x_test.npy --calibration x_train.npy -o y.npy
bitsmith predict digits x_test.npy
bitsmith profile classifier.keras x_train.npy
bitsmith plot classifier.keras
bitsmith convert digits.yml -o small
bitsmith build small --no-synth
bitsmith report small
