"""Render the HTML templates that lie beside the code which fills them.

A template is named by its path in the package, such as `report/report.html`. Pages extend `html/base.html`,
which brings the style sheet and a policy that forbids all network requests.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: object) -> str:
    """Render a template.

    Text among the values is escaped wherever it stands in the page; `Markup` is inserted as it is.

    Args:
        template: path in the package.
        values: names that the template uses.

    Raises:
        jinja2.TemplateError: the template is missing or broken, or uses a name that is not given.

    >>> "<title>a &lt; b</title>" in render("html/base.html", title="a < b")
    True
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("steadyface", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = _asset
    environment.filters["unbroken"] = _unbroken
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def _asset(path: str) -> Markup:
    """Insert one of the package's style sheets or scripts as it is."""
    return Markup(files("steadyface").joinpath(path).read_text(encoding="utf-8"))


def _unbroken(text: str) -> str:
    """Keep each number on one line with its percent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
