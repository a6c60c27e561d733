cat > project.yml <<'END'
KerasModel: classifier.keras
OutputDir: project
Part: LFE5U-45F-6BG381C
ClockPeriod: 8
HLSConfig:
  Model:
    Precision: fixed<12,6>
    ReuseFactor: 16
END
bitsmith convert project.yml
bitsmith build project --no-synth
bitsmith report project
