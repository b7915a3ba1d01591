"""From labelled faces to an ONNX model with its contract. The only part of Mien that imports torch."""
