"""What would be wrong with an EPUB for any reader of it: `python scripts/epub_check.py FILE` lists it.

Of the standard's rules those that a change of the book can break. The program epubcheck knows all of them.
"""

import posixpath
import re
import sys
import zipfile
from urllib.parse import unquote
from xml.etree import ElementTree

PACKAGE = "{http://www.idpf.org/2007/opf}"
CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
ACTIVE = {"script", "iframe", "object", "embed", "form", "input", "button", "video", "audio", "canvas"}


def bare(tag):
    return tag.split("}")[-1]


def faults(path):
    """Return a line for each fault; none for a good book."""
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        first = packed.infolist()[0]
        found = [f"{name}: twice in the archive" for name in {*names} if names.count(name) > 1]
        if first.filename != "mimetype" or first.compress_type or packed.read(first) != b"application/epub+zip":
            found.append("mimetype: expected first, and not compressed")
        documents = {}
        styles = {name: packed.read(name).decode("utf-8", "replace") for name in names if name.endswith(".css")}
        for name in names:
            if name.endswith((".xhtml", ".opf", ".xml", ".svg")):
                try:
                    documents[name] = ElementTree.fromstring(packed.read(name))
                except ElementTree.ParseError as error:
                    found.append(f"{name}: {error}")
    container = documents.get("META-INF/container.xml")
    named = None if container is None else container.find(f".//{CONTAINER}rootfile").get("full-path")
    if named not in documents:
        return [*found, "META-INF/container.xml: expected the name of a package file that is there"]
    found += in_package(documents, named, {*names} - {"mimetype", "META-INF/container.xml", named})
    for name, document in documents.items():
        if name.endswith((".xhtml", ".svg")):
            found += in_document(documents, names, name, document)
    for name, style in styles.items():
        found += in_style(names, name, style, [])
    return sorted(found)


def in_package(documents, named, names):
    """Every file is listed, and every chapter is in the order of reading."""
    package = documents[named]
    items = list(package.iter(f"{PACKAGE}item"))
    listed = {item.get("id"): posixpath.join(posixpath.dirname(named), item.get("href")) for item in items}
    found = [f"{name}: not listed in {named}" for name in names - {*listed.values()}]
    found += [f"{named}: lists {name}, which is not there" for name in {*listed.values()} - names]
    read = {listed.get(each.get("idref")) for each in package.iter(f"{PACKAGE}itemref")}
    navigation = {listed[item.get("id")] for item in items if item.get("properties") == "nav"}
    if len(navigation) != 1:
        found.append(f"{named}: expected one navigation document, got {len(navigation)}")
    chapters = {name for name in names if name.endswith(".xhtml")}
    found += [f"{name}: not in the order of reading" for name in chapters - read - navigation]
    return found


def targets(element):
    """Return the addresses that an element names: of a link, a picture, and the pictures for other screens.

    >>> targets(ElementTree.fromstring('<img src="a.png" srcset="b.png 2x, c.png 3x"/>'))
    ['a.png', 'b.png', 'c.png']
    """
    named = {bare(key): value for key, value in element.attrib.items()}
    pictures = [part.split()[0] for part in named.get("srcset", "").split(",") if part.strip()]
    return [named[key] for key in ("href", "src") if key in named] + pictures


def place(name, target):
    """Return the file and the part of it that a target in the file ``name`` leads to.

    >>> place("text/a.xhtml", "../b%20c.css#d")
    ('b c.css', 'd')
    """
    file, _, fragment = unquote(target).partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) if file else name, fragment


def in_style(names, name, style, ids):
    """A style takes nothing from elsewhere, no pictures, fonts or other styles; ``ids``: those of its document."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    found = re.findall(r"@import\s+[\"']([^\"']*)|url\(\s*[\"']?([^\"')]*)", style)
    used = [(first or second).strip() for first, second in found]
    missing = [each for each in used if not each.startswith("data:")
               and (each[1:] not in ids if each.startswith("#") else place(name, each)[0] not in names)]
    return [f"{name}: {each} of its style is not in the book" for each in missing]


def in_document(documents, names, name, document):
    """Nothing is active or fetched, every picture has a description, every link leads somewhere."""
    found = [f"{name}: <{bare(each.tag)}>" for each in document.iter() if bare(each.tag) in ACTIVE]
    ids = [each.get("id") for each in document.iter() if each.get("id")]
    found += [f"{name}: the id {each} stands twice" for each in {*ids} if ids.count(each) > 1]
    for each in document.iter():
        found += [f"{name}: a handler in {attribute}" for attribute in each.attrib if attribute.startswith("on")]
        if bare(each.tag) == "img" and not (each.get("alt") or "").strip():
            found.append(f"{name}: {each.get('src')} has no description")
        for used in re.findall(r"url\((.*?)\)", " ".join(each.attrib.values())):
            if used.removeprefix("#") not in ids:
                found.append(f"{name}: url({used}) is not in the file")
        if bare(each.tag) == "style":
            found += in_style(names, name, each.text or "", ids)
        for target in targets(each):
            if target.startswith(("https:", "http:", "mailto:")) and bare(each.tag) == "a":
                continue
            file, fragment = place(name, target)
            if file not in names:
                found.append(f"{name}: {target} is not in the book")
            elif fragment and file in documents and fragment not in {part.get("id") for part in documents[file].iter()}:
                found.append(f"{name}: {target} leads nowhere")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults(sys.argv[1])) or None)
