"""How autodoc shows the library: signatures as they are written, docstrings with links, names listed with a sentence.

A Sphinx extension.
"""

import ast
import dataclasses
import inspect
import re
import textwrap

import api_names

AMBIGUOUS = {"errors"}  # so are attributes called too; the function is quoted as sobolev_lib.errors
LIST = "<!-- the list of names -->"
STRING = re.compile(r'("[\w./-]+")(?!\w)')  # a value such as "mse", which typographic quotes would spoil
# A sentence that begins so stands on lines of its own: one looks for it.
APART = re.compile(r"(?:^|(?<=[.:)]) )(Raises|Returns|Warns|Source:)(?= )")


def escaped(text):
    r"""Return plain text as reStructuredText.

    >>> print(escaped("f_i maps (N, *in) to |g|"))
    f\_i maps (N, \*in) to \|g\|
    """
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def paragraphs(lines):
    """Return a docstring's paragraphs as lists of lines: an example is one, whatever it prints.

    >>> paragraphs(["One", "two.", "", ">>> 1", "1", "", "Three."])
    [['One', 'two.'], ['>>> 1', '1'], ['Three.']]
    """
    return [part.split("\n") for part in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")) if part.strip()]


def target(literal, owner, known):
    """Return the full name of what a literal in the docstring of ``owner`` names, None if it is no documented name.

    >>> target("fit", "sobolev_lib.History", {"sobolev_lib.fit": None})
    'sobolev_lib.fit'

    A class's own methods come before functions of the same name.

    >>> known = {"sobolev_lib.SobolevRegressor": None, "sobolev_lib.fit": None}
    >>> target("fit", "sobolev_lib.SobolevRegressor.partial_fit", known)
    'sobolev_lib.SobolevRegressor.fit'
    """
    if literal in AMBIGUOUS or not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", literal):
        return None
    parts = owner.split(".")
    tried = [".".join([*parts[:count], literal]) for count in range(len(parts), 0, -1)]
    tried.append(re.sub(r"^sl\.", "sobolev_lib.", literal))
    return next((name for name in tried if name != owner and (name in known or _is_method(name, known))), None)


def _is_method(name, known):
    """Whether a documented class shows a method of this full name on its page."""
    owner, _, last = name.rpartition(".")
    found = api_names.resolved(owner) if owner in known else None
    own = vars(found).get(last) if inspect.isclass(found) else None
    return not last.startswith("_") and inspect.isroutine(own) and bool(inspect.getdoc(own))


def prose(text, owner, known, arguments=()):
    r"""Return a paragraph of a docstring as reStructuredText: what it quotes is linked if it is documented, and no argument.

    >>> print(prose("As ``fit``, for (N, *in). Raises ``ValueError``. Source: equation 1.", "lib.many", {"lib.fit": None}))
    As :py:obj:`fit <lib.fit>`, for (N, \*in).
    <BLANKLINE>
    **Raises** ``ValueError``.
    <BLANKLINE>
    **Source:** equation 1.
    """
    def piece(k, part):
        if k % 2 == 0:
            pieces = [f"``{each}``" if string % 2 else escaped(each) for string, each in enumerate(STRING.split(part))]
            return APART.sub(lambda found: f"\n\n**{found[1]}**", "".join(pieces))
        part = " ".join(part.split())
        found = None if part in arguments else target(part, owner, known)
        return f":py:obj:`{part} <{found}>`" if found else f"``{part}``"

    return "".join(piece(k, part) for k, part in enumerate(re.split("``(.+?)``", text))).strip()


def restructured(lines, owner, known, arguments=()):
    """Return a docstring's lines as lines of reStructuredText. Examples stay as they are, which is as the tests run them."""
    out = []
    for lines_of_one in paragraphs(lines):
        if lines_of_one[0].lstrip().startswith(">>>"):
            out += [*lines_of_one, ""]
        else:
            out += [*prose(" ".join(line.strip() for line in lines_of_one), owner, known, arguments).split("\n"), ""]
    return out


class _Types(ast.NodeTransformer):
    """Gives the documented names in an annotation their full names, of which Sphinx shows the last part and links it."""

    def __init__(self, module):
        self.module = module

    def visit_Name(self, node):
        entry = api_names.entry_of(f"{self.module}.{node.id}") if self.module.startswith("sobolev_lib") else None
        return ast.parse(f"~{entry.name}", mode="eval").body if entry and entry.name.endswith(f".{node.id}") else node

    def visit_Constant(self, node):  # a name in quotes, of what is defined further down
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node


def _with_types(tree, module):
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if getattr(node, name, None):
                setattr(node, name, _Types(module).visit(getattr(node, name)))
    return tree


def _field(node):
    """A field of a dataclass as an argument of its constructor."""
    made = node.value
    if isinstance(made, ast.Call) and ast.unparse(made.func).endswith("field"):
        given = {option.arg: ast.unparse(option.value) for option in made.keywords}
        default = given.get("default", f"{given['default_factory']}()" if "default_factory" in given else None)
    else:
        default = ast.unparse(made) if made else None
    return f"{node.target.id}: {ast.unparse(node.annotation)}" + (f" = {default}" if default else "")


def signature(found):
    """Return a callable's arguments and what it returns, as they are written in its file; None where there is no file.

    >>> signature(textwrap.dedent)
    ('(text)', '')
    """
    generated = hasattr(found, "_fields") or (
        dataclasses.is_dataclass(found) and found.__init__.__code__.co_filename.startswith("<"))
    made = found.__init__ if inspect.isclass(found) and not generated else found
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(made)))).body[0]
    except (OSError, TypeError):
        return None
    tree = _with_types(tree, found.__module__)
    if generated:
        fields = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
        if any(node.target.id.startswith("_") for node in fields):
            return "", ""  # not made by users
        return f"({', '.join(map(_field, fields))})", ""
    first = [*tree.args.posonlyargs, *tree.args.args][:1]
    if first and first[0].arg in ("self", "cls"):
        (tree.args.posonlyargs or tree.args.args).pop(0)
    returns = ast.unparse(tree.returns) if tree.returns and not inspect.isclass(found) else ""
    return f"({ast.unparse(tree.args)})", returns


def first_sentence(text):
    """Return the first sentence of a text, without marks of roles, as it can stand in a table.

    >>> first_sentence("As :py:obj:`fit <lib.fit>`, for |g|.\\n\\nMore.")
    'As fit, for \\\\|g\\\\|.'
    """
    text = " ".join(re.sub(r":py:obj:`(\S+) <.+?>`", r"\1", text).split("\n\n")[0].split())
    first = re.match(r".*?[.](?=\s|$)|.*", text)[0]
    pieces = enumerate(re.split("(``.+?``)", first))
    return "".join(part if k % 2 else re.sub(r"([*|_])", r"\\\1", part) for k, part in pieces)


def said(entry):
    """Return what a name is in one sentence: of its docstring, or for a constant of the page that has it."""
    found = api_names.resolved(entry.name)
    if inspect.isclass(found) or inspect.isroutine(found):
        return first_sentence(inspect.getdoc(found) or "")
    page = (api_names.BOOK.parent / f"{entry.page}.md").read_text()
    name = entry.name.split(".")[-1]
    own = re.search(rf"^(?:[.]{{2}} py:data::)? +{name}\n(?: +\w+\n)*\n((?:   .+\n)+)", page, re.MULTILINE)
    return first_sentence(own[1])


def listed():
    """Return the list of all names, page by page, as Markdown."""
    import yaml

    sentences_of = yaml.safe_load((api_names.BOOK / "chapters.yml").read_text())
    parts = []
    for page in dict.fromkeys(entry.page for entry in api_names.entries().values()):
        title = re.search(r"^# (.+)$", (api_names.BOOK.parent / f"{page}.md").read_text(), re.MULTILINE)[1]
        sentences = {}
        for entry in api_names.entries().values():
            if entry.page == page:
                sentences.setdefault(said(entry), []).append(f"{{py:obj}}`{entry.short} <{entry.name}>`")
        rows = [f"| {', '.join(names)} | {sentence} |" for sentence, names in sentences.items()]
        parts += [f"## [{title}]({page.split('/')[-1]}.md)", "", sentences_of[page], ""]
        parts += ["| name | what it is |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def fill(app, docname, source):
    """Put the list where the reference's first page marks its place; Sphinx calls this for each page that it reads."""
    if LIST in source[0]:
        source[0] = source[0].replace(LIST, listed())


def on_docstring(app, what, name, found, options, lines):
    lines[:] = restructured(lines, name, api_names.entries(), inspect.signature(found).parameters if callable(found) else ())


def on_member(app, what, name, found, skip, options):
    """Leave out what comes from elsewhere: the fields of a tuple, which the signature has, and what scikit-learn adds."""
    foreign = str(getattr(found, "__module__", "")).startswith("sklearn")
    return True if foreign or str(getattr(found, "__doc__", "")).startswith("Alias for field number") else None


def on_signature(app, what, name, found, options, written, returns):
    return signature(found) if callable(found) else None


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("autodoc-process-signature", on_signature)
    app.connect("autodoc-skip-member", on_member)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
