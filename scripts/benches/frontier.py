def run(bins, work, options, problems):
    return {}
