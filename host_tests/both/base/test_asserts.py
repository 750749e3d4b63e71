"""Without this, all other tests could pass for nothing: compilers can leave `assert` out."""


def test_asserts_are_run():
    try:
        assert 1 == 2
    except AssertionError:
        return
    raise RuntimeError("compiled without its asserts: no test says anything here")
