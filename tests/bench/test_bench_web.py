"""What wrk says is taken for figures only if every request was answered as it should be."""

import pytest
from bench.contestant import BenchError
from bench.groups.web import figures_of

SAID = """\
Running 1s test @ http://127.0.0.1:8941/
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.18ms  412.10us  12.01ms   93.21%
    Req/Sec    15.78k   512.33    16.44k    80.00%
  Latency Distribution
     50%    3.09ms
     75%    3.21ms
     90%  890.00us
     99%    1.02s
  15777 requests in 1.01s, 2.05MB read
Requests/sec:  15673.39
Transfer/sec:      2.04MB
"""


def test_the_figures_of_wrk_are_read_with_their_units():
    figures = figures_of(SAID, cpu_s=0.9, load_cpu_s=0.3)
    assert figures["requests_per_s"] == 15673.39
    assert figures["p50_us"] == pytest.approx(3090)
    assert figures["p99_us"] == pytest.approx(1_020_000)
    assert figures["server_cpu_us"] == pytest.approx(0.9 / 15777 * 1e6)
    assert figures["server_share"] == pytest.approx(0.9 / 1.01)
    assert figures["load_share"] == pytest.approx(0.3 / 1.01)


@pytest.mark.parametrize(
    "complaint",
    ["  Socket errors: connect 0, read 3, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 17\n"],
)
def test_an_answer_that_is_missing_or_wrong_spoils_the_sample(complaint):
    with pytest.raises(BenchError, match=complaint.strip()[:13]):
        figures_of(SAID + complaint, 1.0, 1.0)


@pytest.mark.parametrize("said", ["", "unable to connect\n", SAID.replace("15777 requests", "0 requests")])
def test_what_is_no_measurement_is_refused(said):
    with pytest.raises(BenchError, match="wrk said"):
        figures_of(said, 1.0, 1.0)
