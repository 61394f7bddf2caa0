"""Trains a classifier on Iris: ``runfolio run iris_sklearn.py 0.5``, where 0.5 is the regularization rate."""

import pickle
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, precision_recall_curve, roc_curve
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import label_binarize

import runfolio as rf

plt.switch_backend("agg")  # draws into files, needs no screen
run = rf.get_logger()
outputs = Path("outputs")
outputs.mkdir(exist_ok=True)

rate = float(sys.argv[1]) if len(sys.argv) > 1 else 0.01
print(f"Regularization rate is {rate}")
run.log("Regularization Rate", rate)

# The four features alone are too easy: with noise beside them the accuracy depends on the rate.
features, species = load_iris(return_X_y=True)
noise = np.random.default_rng(2).normal(size=(len(features), 40))
x_train, x_test, y_train, y_test = train_test_split(
    np.hstack([features, noise]), species, test_size=0.35, random_state=0, stratify=species
)

model = LogisticRegression(C=1 / rate, max_iter=5000).fit(x_train, y_train)
accuracy = model.score(x_test, y_test)
print(f"Accuracy is {accuracy}")
run.log("Accuracy", accuracy)

# Each test sample asks three questions, "is it species k?"; the curves are over all of them.
scores = model.predict_proba(x_test).ravel()
answers = label_binarize(y_test, classes=[0, 1, 2]).ravel()
precision, recall, thresholds = precision_recall_curve(answers, scores)
run.log("Precision", precision)
run.log("Recall", recall)
run.log("Thresholds", thresholds)

ConfusionMatrixDisplay.from_estimator(model, x_test, y_test, display_labels=["setosa", "versicolor", "virginica"])
plt.title(f"Confusion matrix, rate {rate}")
plt.savefig(outputs / "cm.png")

false_positives, true_positives, _ = roc_curve(answers, scores)
plt.figure()
plt.plot(false_positives, true_positives)
plt.plot([0, 1], [0, 1], linestyle="--")
plt.xlabel("False positive rate")
plt.ylabel("True positive rate")
plt.title(f"ROC, rate {rate}")
plt.savefig(outputs / "roc.png")

(outputs / "model.pkl").write_bytes(pickle.dumps(model))
