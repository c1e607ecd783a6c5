"""Tables that a reader drops into the playground: what is read, which column is taken for what, and what is said of wrong ones."""
import numpy as np
import pytest

LEARN = """const csv = readCsv(given), roles = guessRoles(csv.names), { columns, note } = columnsOf(csv, roles);
const plain = Object.fromEntries(Object.entries(columns).map(([name, column]) =>
  [name, column && Array.from(column, (one) => (Number.isNaN(one) ? null : one))]));"""
PLAIN = "x,y,f,dx,dy\n0,1,2,3,4\n5,6,7,8,9\n"
EXPECTED = {"x": [0, 5], "y": [1, 6], "f": [2, 7], "g": [3, 8], "h": [4, 9]}


@pytest.fixture
def learn(engine):
    """What the page makes of a text: columns and a note, or the message."""
    return lambda text: engine(f"try {{ {LEARN} return [plain, note]; }} catch (error) {{ return error.message; }}", text, source="csv")


FORMS = {
    "plain": PLAIN,
    "byte-order mark": "\ufeff" + PLAIN,
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "CRLF": PLAIN.replace("\n", "\r\n"),
    "CR": PLAIN.replace("\n", "\r"),
    "no end of line": PLAIN.rstrip("\n"),
    "empty lines": "\n" + PLAIN.replace("\n", "\n\n") + "\n\n",
    "spaces": PLAIN.replace(",", " , "),
    "quotes": '"x","y","f","dx","dy"\n"0","1","2","3","4"\n5,6,7,8,9\n',
    "quoted separators and lines": 'note,x,y,f,dx,dy\n"a, ""b""\nc",0,1,2,3,4\n"",5,6,7,8,9\n',
    "other columns": "name,x,y,f,dx,dy,date\na,0,1,2,3,4,2020-01-01\nb,5,6,7,8,9,\n",
    "another order": "dy,f,x,dx,y\n4,2,0,3,1\n9,7,5,8,6\n",
    "numbers": "x,y,f,dx,dy\n0.,1e0,+2,.3e1,4\n5,6.0,7,8,9\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_csv(learn, name):
    assert learn(FORMS[name]) == [EXPECTED, ""]


NAMES = {   # columns of x, y, value, slope along x, slope along y
    "x,y,f,dx,dy": (0, 1, 2, 3, 4),
    "x,y,z,dz_dx,dz_dy": (0, 1, 2, 3, 4),
    "x1,x2,value,df_dx1,df_dx2": (0, 1, 2, 3, 4),
    "x_1,x_2,y,dy/dx_1,dy/dx_2": (0, 1, 2, 3, 4),
    "x0,x1,y,dx0,dx1": (0, 1, 2, 3, 4),
    "X,Y,F,∂F/∂x,∂F/∂y": (0, 1, 2, 3, 4),
    "x,y,value,grad_x,grad_y": (0, 1, 2, 3, 4),
    "x,y,target,f_x,f_y": (0, 1, 2, 3, 4),
    '"f(x,y)",x,y,fx,fy': (1, 2, 0, 3, 4),
    "x,y,dydx": (0, -1, 1, 2, -1),
    "x,y,dy": (0, -1, 1, 2, -1),
    "x,f,dx": (0, -1, 1, 2, -1),
    "x,value,slope": (0, -1, 1, 2, -1),
    "t,u,du_dt": (0, -1, 1, 2, -1),
    "time,energy,derivative": (0, -1, 1, 2, -1),
    "x,f(x),f'(x)": (0, -1, 1, 2, -1),
    "a,b,c": (-1, -1, -1, -1, -1),
}


@pytest.mark.parametrize("names", NAMES)
def test_columns_are_guessed_by_their_names(engine, names):
    count = names.count(",") + 1 - names.count('"') // 2
    rows = names + "\n" + "\n".join([",".join(["1"] * count)] * 2)
    assert tuple(engine("return Object.values(guessRoles(readCsv(given).names))", rows, source="csv")) == NAMES[names]


def test_missing_cells_are_missing_labels(learn):
    text = "x,y,f,dx,dy\n0,1,2,,4\n5,6,7,NaN,n/a\n8,8,,1,1\n1,2,3,4,null\n"
    columns, note = learn(text)
    assert columns == {"x": [0, 5, 1], "y": [1, 6, 2], "f": [2, 7, 3], "g": [None, None, 4], "h": [4, None, None]}
    assert note == "1 row has no value and is left out. "


def test_a_slope_that_is_known_nowhere_is_no_column(learn):
    columns, _ = learn("x,y,f,dx,dy\n0,1,2,3,\n5,6,7,8,\n")
    assert columns["h"] is None and columns["g"] == [3, 8]


def test_duplicates_are_rows_like_others(learn):
    assert learn(PLAIN + "0,1,2,3,4\n" * 2)[0]["x"] == [0, 5, 0, 0]


WRONG = {
    "": "there is no text yet",
    "x": "line 1 has one column only",
    "1,2,3\n4,5,6\n": "line 1: expected the names of the columns, such as x,y,f, got numbers",
    "x,,f\n1,2,3\n": "line 1: column 2 has no name",
    "x,f,x\n1,2,3\n": 'line 1: columns 1 and 3 have the same name, "x"',
    "x,f,dx\n1,2,3\n4,5\n": "line 3: expected 3 cells as in the first line, got 2",
    "x,f,dx\n1,2,3\n\n4,5,6,7\n": "line 4: expected 3 cells as in the first line, got 4",
    "x,f,dx\n": "expected at least two rows, to hold one out for testing, got none",
    "x,f,dx\n1,2,3\n": "expected at least two rows, to hold one out for testing, got 1",
    "x,f,dx\n1,2,3\n4,,6\n": 'expected at least two rows with a value in column "f", got 1',
    "x;f;dx\n1;2;3\n4;5,5;6\n": 'line 3, column "f": "5,5" has a decimal comma; write 5.5',
    'x,f,dx\n1,"2,25",3\n4,5,6\n': 'line 2, column "f": "2,25" has a decimal comma; write 2.25',
    "x,f,dx\n1,2,3\n,5,6\n": 'line 3, column "x": expected a number, got an empty cell; only slopes and values may be missing',
    "x,f,dx\n1,2,three\n4,5,6\n": 'line 2, column "dx": expected a number, got "three"',
    "x,f,dx\n1,2,inf\n4,5,6\n": 'line 2, column "dx": expected a number, got "inf"',
    "x,f,dx\n1,2,1e60\n4,5,6\n": 'line 2, column "dx": expected a number, got "1e60"',
    "x,f,dx\n1,0x10,1\n4,5,6\n": 'line 2, column "f": expected a number, got "0x10"',
    'x,f,dx\n1,"2,3\n4,5,6\n': "line 2: a quotation mark opens a cell and none closes it",
    'note,x,f,dx\n"two\nlines",1,2,3\n"b",4,five,6\n': 'line 4, column "f": expected a number, got "five"',
    "a,b,c\n1,2,3\n4,5,6\n": "choose the column of the first input",
    "x,b,c\n1,2,3\n4,5,6\n": "choose the column of the value",
    "x,f,c\n1,2,3\n4,5,6\n": "choose a column of slopes",
    "x,f,dx\n1,2,\n4,5,NaN\n": "all slopes are missing",
    "<!doctype html><html>": "line 1 has one column only",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_tables_are_told_where(learn, text):
    assert learn(text).startswith(WRONG[text])


def test_ten_thousand_rows_are_taken_and_no_more(learn):
    rows = np.random.default_rng(0).normal(size=(10_000, 3))
    text = "x,f,dx\n" + "\n".join(",".join(f"{one:.6g}" for one in row) for row in rows)
    columns, _ = learn(text)
    assert np.allclose(columns["f"], rows[:, 1], rtol=1e-5)
    assert learn(text + "\n1,2,3") == "expected at most 10,000 rows, got 10,001"


def test_roles_that_do_not_fit(engine):
    call = """try { return columnsOf(readCsv(given[0]), { x: 0, y: -1, f: 2, g: 3, h: -1, ...given[1] }).note; }
        catch (error) { return error.message; }"""
    assert engine(call, [PLAIN, {}], source="csv") == ""
    assert engine(call, [PLAIN, {"g": 2}], source="csv") == 'column "f" is chosen twice'
    assert engine(call, [PLAIN, {"h": 4}], source="csv").startswith("a slope along the second input needs a second input")


def test_a_table_comes_back_from_its_setting(engine):
    got = engine(f"""{LEARN.replace('given', 'given[0]')} const text = packTable(columns), back = unpackTable(text);
        return [text, Object.entries(back).every(([name, column]) => String(column) === String(columns[name]))]""",
                 ["x,f,dx\n0.1,-2.5,\n3,4e10,1e-20\n-7,0,3\n"], source="tables")
    assert got[1] and got[0].startswith("xfg:") and set(got[0][4:]) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
