/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.h - Named places inside critical sections, where a test may end or
 * stop the process.
 *
 * Empty statements, unless built with -Dfaults=true. Then the environment says
 *
 *   MORTISE_FAULT=NAME:COUNT:ACTION   from the COUNTth arrival at NAME on
 *                                     (kill, stop, sleep: half a second; or
 *                                     fail, where that is a FAULT_FAIL)
 *   MORTISE_FAULT_ONCE=PATH           only who can create this file acts: one
 *                                     process, once; nobody while it is there
 */
#ifndef MORTISE_BASE_FAULT_H
#define MORTISE_BASE_FAULT_H

#ifdef MORTISE_FAULTS
/** fault_point() - The process is at @name. Raw system calls only. */
void fault_point(const char *name);
/** fault_fail() - Is what is tried at @name to fail, as for want of memory? */
int fault_fail(const char *name);
#define FAULT_POINT(name) fault_point(name)
#define FAULT_FAIL(name) fault_fail(name)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_FAIL(name) 0
#endif

#endif
