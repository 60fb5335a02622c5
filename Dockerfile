# The chat on port 6006. On a CPU by default; for a GPU build with --build-arg TORCH_INDEX=https://pypi.org/simple
# and run with --gpus all. See docs/deploy.md.
FROM python:3.12-slim

# PyTorch without CUDA saves 2 GB.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# llama.cpp, which serves GGUF files, takes the system's OpenMP.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements.txt
COPY app.py data.py download.py keys.py LICENSE ./
COPY .streamlit .streamlit
COPY components components
RUN useradd --create-home chat && mkdir data models && chown chat data models
USER chat
VOLUME ["/app/data", "/app/models"]
EXPOSE 6006
# Not through a proxy that the environment names: it would ask its own 127.0.0.1.
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; \
r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:6006/health', timeout=5)"]
# Other machines are asked for the code, which is printed at start.
CMD ["sh", "-c", "python download.py --source demo --if-none && exec streamlit run app.py --server.address 0.0.0.0"]
