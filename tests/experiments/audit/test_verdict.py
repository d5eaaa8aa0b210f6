import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from springback.experiments.audit.analyse import analyse
from springback.experiments.audit.contrasts import contrasts
from springback.experiments.audit.readings import Cell, Place, Readings
from springback.experiments.audit.sentences import HEADLINES, SENTENCES
from springback.experiments.audit.tests_planned import as_json, tests_planned
from springback.experiments.audit.tests_resolved import resolve
from springback.experiments.audit.verdict import rule
from springback.stats.profile import half_position

spec = importlib.util.spec_from_file_location("stand_in", Path(__file__).with_name("stand_in.py"))
