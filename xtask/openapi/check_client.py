"""Uses a client that was generated from regressd's OpenAPI document against a service that runs.

python3 check_client.py REGRESSD FOLDER, where FOLDER has the package `regressd_client`.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(client, get_health) -> None:
    for _ in range(200):
        try:
            if get_health.sync_detailed(client=client).status_code == 200:
                return
        except OSError:
            pass
        except Exception as error:  # the client's own kind for a refused connection
            if "refused" not in str(error).lower():
                raise
        time.sleep(0.1)
    raise SystemExit("the service does not answer")


def google_benchmark(seconds: float) -> str:
    return json.dumps(
        {
            "context": {"date": "2026-01-01", "host_name": "ci", "num_cpus": 2},
            "benchmarks": [
                {
                    "name": "parse",
                    "run_type": "iteration",
                    "iterations": 10,
                    "real_time": seconds * 1e9,
                    "cpu_time": seconds * 1e9,
                    "time_unit": "ns",
                }
            ],
        }
    )


def use_client(address: str, token: str) -> None:
    from regressd_client import AuthenticatedClient, Client
    from regressd_client.api.configuration import get_config
    from regressd_client.api.reading import get_repositories, get_run, get_runs, get_series, get_series_history
    from regressd_client.api.runs import analyze_upload
    from regressd_client.api.service import get_health, get_readiness
    from regressd_client.models import AnalyzeRequest, ResultFile

    anyone = Client(base_url=address)
    wait_until_ready(anyone, get_health)
    assert get_readiness.sync_detailed(client=anyone).status_code == 200
    client = AuthenticatedClient(base_url=address, token=token)
    for number, seconds in enumerate([1.0, 1.01]):
        upload = AnalyzeRequest(
            repository="octo/hello",
            branch="main",
            commit=f"{number:040x}",
            results=[ResultFile(text=google_benchmark(seconds))],
        )
        answer = analyze_upload.sync_detailed(client=client, body=upload)
        assert answer.status_code in (200, 202), answer
    repositories = get_repositories.sync(client=client)
    assert [item.repository for item in repositories.items] == ["octo/hello"], repositories
    runs = get_runs.sync("octo", "hello", client=client)
    assert len(runs.items) == 2, runs
    assert get_run.sync(runs.items[0].run, client=client) is not None
    series = get_series.sync("octo", "hello", client=client)
    assert {item.benchmark for item in series.items} == {"parse"}, series
    history = get_series_history.sync(series.items[0].series, client=client)
    assert len(history.items) == 2, history
    assert get_config.sync_detailed("octo", "hello", client=client).status_code == 200
    refused = get_config.sync_detailed("octo", "other", client=client)
    assert refused.status_code in (403, 404), refused


def main() -> None:
    regressd, package = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, package)
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "regressd.db")
        subprocess.run([regressd, "migrate", "--database", database], check=True, stdout=subprocess.DEVNULL)
        made = subprocess.run(
            [regressd, "token", "create", "octo/hello", "--role", "admin", "--database", database],
            check=True,
            capture_output=True,
            text=True,
        )
        token = made.stdout.split()[-1]
        port = free_port()
        service = subprocess.Popen(
            [regressd, "serve", "--listen", f"127.0.0.1:{port}", "--metrics-listen", f"127.0.0.1:{free_port()}"]
            + ["--database", database],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            use_client(f"http://127.0.0.1:{port}", token)
        finally:
            service.terminate()
            service.wait(timeout=30)
    print("a generated client talks to the service")


if __name__ == "__main__":
    main()
