# SPDX-License-Identifier: BSD-2-Clause
"""What is carried over the wire."""
