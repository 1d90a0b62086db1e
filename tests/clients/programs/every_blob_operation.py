"""Calls every operation that a storage package for blobs has, and tells which it did not call.

    python every_blob_operation.py SETTINGS.json

The steps of each family of packages are in a module of their own. A step stands alone: it
makes what it needs, calls operations and looks at what they did. Steps that the service
refuses as not served are told apart from steps that went wrong.
"""

import importlib
import json
import sys
import traceback


class Recorder:
    """Notes which operations of which classes were called."""

    def __init__(self, classes):
        self.classes = classes
        self.called = set()

    def wrap(self, value):
        return Recorded(value, self) if isinstance(value, self.classes) else value

    def note(self, thing, name):
        self.called.add(owned(type(thing), name))

    def operations(self):
        return {
            owned(kind, name)
            for kind in self.classes
            for name in dir(kind)
            if not name.startswith("_") and callable(getattr(kind, name))
        }


class Recorded:
    """A client whose calls are noted; calls that it makes of itself are not."""

    def __init__(self, thing, recorder):
        object.__setattr__(self, "_thing", thing)
        object.__setattr__(self, "_recorder", recorder)

    def __getattr__(self, name):
        value = getattr(self._thing, name)
        if not callable(value):
            return value

        def call(*arguments, **named):
            self._recorder.note(self._thing, name)
            plain = [bare(it) for it in arguments]
            named = {key: bare(it) for key, it in named.items()}
            return self._recorder.wrap(value(*plain, **named))

        return call

    def __setattr__(self, name, value):
        setattr(self._thing, name, value)


def bare(value):
    return value._thing if isinstance(value, Recorded) else value


def owned(kind, name):
    """`Class.name`, with the class that defines it: what is inherited counts once."""
    owner = next(it for it in kind.__mro__ if name in vars(it))
    return "{}.{}".format(owner.__name__, name)


def refused(code, call, *arguments, **named):
    """Calls an operation that the service must refuse with this code."""
    try:
        call(*arguments, **named)
    except Exception as refusal:  # each generation has its own classes
        said = getattr(refusal, "error_code", None) or str(refusal)
        assert code in str(said) or code in str(refusal), "refused otherwise: {!r}".format(refusal)
        return
    raise AssertionError("was not refused with {}".format(code))


def is_unserved(cause):
    status = getattr(cause, "status_code", None)
    return status == 501 or "NotImplemented" in str(cause)


def last_line(cause):
    return str(cause).strip().splitlines()[0][:300] if str(cause).strip() else repr(cause)


def run(family, settings):
    """Runs all steps that the package has the operations for; answers what became of them."""
    report = {"passed": [], "unserved": {}, "failed": {}}
    for name in sorted(it for it in dir(family) if it.startswith("step_")):
        step = getattr(family, name)
        title = name[len("step_") :]
        try:
            if step() is not False:
                report["passed"].append(title)
        except Exception as cause:
            if is_unserved(cause):
                report["unserved"][title] = last_line(cause)
            else:
                report["failed"][title] = traceback.format_exc()
    operations = family.recorder.operations()
    left_out = {name: why for name, why in family.LEFT_OUT.items() if name in operations}
    report["called"] = sorted(family.recorder.called & operations)
    report["left_out"] = left_out
    report["never_called"] = sorted(operations - family.recorder.called - set(left_out))
    return report


def main(settings_path):
    with open(settings_path) as text_file:
        settings = json.load(text_file)
    module = importlib.import_module(settings["family"])
    report = run(module.Family(settings), settings)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
