"""HuBERT units: a published network's hidden states and a k-means code book."""
