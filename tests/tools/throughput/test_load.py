"""The load: latency counts from the intended arrival, whatever the others do; percentiles and their intervals."""

import asyncio

import numpy as np
import pytest

from mic2e_bench.tools.throughput import arrivals, generator, percentiles
from mic2e_bench.tools.throughput.requests import Answer, Request, columns, of_columns

SERVICE_S = 0.02


async def loaded(due, closed=0):
    """The answers of one worker that takes ``SERVICE_S`` for each request, one after the other."""
    clock, worker = generator.Clock(), asyncio.Lock()
    requests = [Request(index, at, seed=index) for index, at in enumerate(due)]

    async def send(request):
        sent = clock()
        async with worker:
            await asyncio.sleep(SERVICE_S)
        return Answer(request.index, request.intended_s, sent, clock(), SERVICE_S)

    if closed:
        return await generator.closed_loop(requests, send, clock, closed)
    return await generator.open_loop(requests, send, clock)


def test_who_waits_behind_others_has_waited_since_it_arrived():
    answers = generator.run(loaded([0.0] * 5))
    assert [answer.index for answer in answers] == list(range(5))
    for number, answer in enumerate(answers, 1):
        assert answer.latency_s >= number * SERVICE_S
        assert answer.waiting_s == pytest.approx(answer.latency_s - SERVICE_S)


def test_nothing_is_sent_before_it_is_due():
    answers = generator.run(loaded([0.01, 0.05, 0.06]))
    assert all(answer.sent_s >= answer.intended_s for answer in answers)


def test_a_client_sends_its_next_request_when_it_has_its_answer():
    answers = generator.run(loaded([0.0] * 4, closed=1))
    ends = [answer.ended_s for answer in answers]
    assert all(later.intended_s >= end for later, end in zip(answers[1:], ends, strict=False))


def test_answers_come_back_from_a_record_as_they_were():
    answers = [Answer(0, 0.0, 0.1, 0.3, 0.2, "one", digest="ab"), Answer(1, 0.5, 0.5, 0.9, 0.1, status="error")]
    assert of_columns(columns(answers)) == answers


def test_poisson_arrivals_have_their_rate():
    due = arrivals.poisson(5.0, 20_000, seed=1)
    gaps = np.diff([0.0, *due])
    assert due == arrivals.poisson(5.0, 20_000, seed=1)
    assert gaps.mean() == pytest.approx(0.2, rel=0.03)
    assert gaps.std() == pytest.approx(0.2, rel=0.05)


def test_a_percentile_needs_a_request_beyond_it():
    assert percentiles.of_run(range(1, 101), 0.99) is not None
    assert percentiles.of_run(range(1, 100), 0.99) is None
    assert percentiles.of_run([], 0.5) is None


def test_an_interval_is_over_runs():
    few = percentiles.of_runs([[1.0, 2.0]] * 5, 0.5)
    assert (few.value, few.interval) == (1.5, None)
    runs = [[1.0 + 0.1 * run, 2.0] for run in range(6)]
    value, interval = percentiles.of_runs(runs, 0.5)
    assert interval[0] <= value <= interval[1]
    assert percentiles.of_runs(runs, 0.99).text() == "–"
