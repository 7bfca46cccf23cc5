"""Metadata to instructions: questions and answers from varied templates, in the released SIFT
layout."""
