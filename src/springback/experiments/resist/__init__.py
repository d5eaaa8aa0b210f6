"""Resistance: is it easier to tune a model back onto what it wrote before than on to what it will write?"""
