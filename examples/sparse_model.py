"""How many parameters a model needs: accuracy against sparsity, by the strength of an l1 penalty. Ends with
sparse_model.png.

python sparse_model.py
"""

import matplotlib.pyplot as plt

import p2pnet

STRENGTHS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2)
summaries = [
    p2pnet.simulate("digits", agents=6, hidden=(), penalty=f"l1:{strength}", rounds=100, progress=False).summary
    for strength in STRENGTHS
]

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot([summary.sparsity for summary in summaries], [summary.test_metric_worst for summary in summaries], "o-")
for strength, summary in zip(STRENGTHS, summaries, strict=True):
    axes.annotate(
        f"l1:{strength:g}",
        (summary.sparsity, summary.test_metric_worst),
        textcoords="offset points",
        xytext=(6, 6),
        fontsize=8,
    )
axes.set(xlabel="part of the parameters that are 0", ylabel="test accuracy of the worst agent")
axes.margins(x=0.3, y=0.2)
figure.savefig("sparse_model.png", dpi=150)
