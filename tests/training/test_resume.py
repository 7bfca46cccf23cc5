def test_smoke(trained_run):
    print(list(trained_run.iterdir()))
