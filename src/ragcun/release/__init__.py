"""Models and results for others: a folder, the hub, ONNX, FAISS, MTEB's result files, runs with their metadata."""
