# SPDX-License-Identifier: BSD-2-Clause
"""Tests over a wire: network namespaces, what joins them, and what is carried."""
import os
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS_DIR = os.path.join(HERE, "peers")
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "programs"))
