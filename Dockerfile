# The server, with the versions that the tests ran with.
FROM python:3.12-slim
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY semantic_memory semantic_memory
RUN pip install --no-cache-dir -c constraints.txt '.[server,postgresql]' && useradd --create-home memory
USER memory
WORKDIR /home/memory
EXPOSE 8321
ENTRYPOINT ["semantic-memory"]
CMD ["serve", "--host", "0.0.0.0"]
