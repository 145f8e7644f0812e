# Crashes in the way that its argument names.
import sys


class NoOrder(Exception):
    pass


class Repo:
    def load(self, key):
        return {}[key]


def index():
    Repo().load("a")


def cause():
    try:
        index()
    except KeyError as error:
        raise NoOrder("no order\nof that name") from error


def context():
    try:
        cause()
    except NoOrder:
        index()


def group():
    raise ExceptionGroup("several", [ValueError("x"), TypeError("y")])


def group_of_raised():
    errors = []
    for fn in (index, cause):
        try:
            fn()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup("several", errors)


def endless(n=0):
    return endless(n + 1)


def text():
    exec("def f():\n  return 1 / 0\nf()")


def syntax():
    compile("a b", "page.py", "exec")


globals()[sys.argv[1]]()
