"""The pages of the dashboard: what they show, and how it stays up to date."""

from __future__ import annotations

from nicegui import Client, ui

from mien.config import Settings
from mien.dashboard.data.queries import Queries
from mien.dashboard.jobs.demo import Demo
from mien.dashboard.jobs.reports import ReportQueue
from mien.dashboard.pages.history import History
from mien.dashboard.pages.live import Live
from mien.dashboard.pages.refresh import Pulse
from mien.dashboard.pages.reports import Reports
from mien.dashboard.pages.shell import STATIC, build
from mien.dashboard.pages.system import Diagnose, System
from mien.dashboard.pages.trial import Trial
from mien.dashboard.security.roles import may, who_asks

__all__ = ["STATIC", "Diagnose", "add_pages"]


def add_pages(queries: Queries, settings: Settings, diagnose: Diagnose, making: ReportQueue, demo: Demo) -> None:
    """Let NiceGUI serve the pages.

    Args:
        queries: Answers what they show.
        settings: Where things are.
        diagnose: The doctor.
        making: Makes reports.
        demo: Plays the demo.
    """
    pulse = Pulse()
    live, history, trial = Live(queries, demo), History(queries, demo), Trial(queries)
    reports = Reports(queries, making)
    system = System(queries, settings, pulse, diagnose)

    @ui.page("/", response_timeout=10)
    def show_live(client: Client) -> None:
        build("/", client, live, pulse, scripts=("live",))

    @ui.page("/history", response_timeout=10)
    def show_history(client: Client) -> None:
        build("/history", client, history, pulse, scripts=("history",))

    @ui.page("/try", response_timeout=10)
    def show_trial(client: Client) -> None:
        build("/try", client, trial, pulse, scripts=("try",))

    @ui.page("/reports", response_timeout=10)
    def show_reports(client: Client) -> None:
        build("/reports", client, reports, pulse, scripts=("reports",))

    @ui.page("/system", response_timeout=10)
    def show_system(client: Client) -> None:
        build("/system", client, system, pulse)
        if may(who_asks(client.request.scope), "admin"):
            ui.on("check", system.check)
