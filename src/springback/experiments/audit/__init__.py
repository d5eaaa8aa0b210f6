"""The audit: does an alignment come back out, and how easily?"""
