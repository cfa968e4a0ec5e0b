from numpy import dtype
action_t = dtype([("bar", "i8"), ("symbol", "i8"), ("split", "f8"), ("dividend", "f8")], align=True)
