# SPDX-License-Identifier: BSD-2-Clause
"""To come."""


def tests():
    return []
