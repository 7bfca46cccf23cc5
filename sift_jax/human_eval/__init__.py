"""Human evaluation: a page for raters, and what their files say.

predictions, spoken folders, triples ─► tasks ─► page.html (blind) + key.json ─► files of raters ─► agreement, means,
                                                                                 correlation with the judge
"""
