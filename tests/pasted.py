"""What a person might paste into an issue after an error: message, traceback, traceback with the values of variables."""

import traceback

from IPython.core.ultratb import VerboseTB


def pasted(call, own: str) -> str:
    """All of that for the error which the call raises, and for those behind it; frames of the file `own` are left out."""
    try:
        call()
    except BaseException as error:
        texts = [str(error), repr(error), repr(error.args), repr(getattr(error, "__dict__", ""))]
        chain: list[BaseException] = []
        while error is not None and error not in chain:
            chain.append(error)
            error = error.__cause__ or error.__context__
        for each in chain:
            trace = each.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename in (own, __file__):
                trace = trace.tb_next
            plain = traceback.TracebackException(type(each), each, trace, capture_locals=True)
            texts += ["".join(plain.format()), VerboseTB(include_vars=True, long_header=True).text(type(each), each, trace)]
        return "\n".join(texts)
    raise AssertionError("nothing was raised")
