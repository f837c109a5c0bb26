# SPDX-License-Identifier: BSD-2-Clause
# bash completion for mortise(1). Verbs and options are what --help says, so
# that this need not be told of new ones.

_mortise_verbs()
{
	mortise --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | grep -v '^mortise$'
}

_mortise_options()
{
	mortise "$1" --help 2>/dev/null | grep -o -e '--[a-z][a-z-]*' | sort -u
	echo --help
}

# The names of the domains that have a folder.
_mortise_domains()
{
	local dir name

	dir=$(mortise config 2>/dev/null | sed -n 's/^dir  *\(.*[^ ]\)   *[^ ].*$/\1/p')
	for name in "$dir"/*-[0-9]*; do
		name=${name##*/}
		name=${name%-*}
		[ "$name" = '*' ] || echo "$name"
	done
}

# What stands behind option $1 of verb $2; false where it takes no value.
_mortise_value()
{
	case $1 in
	--domain) COMPREPLY=($(compgen -W "$(_mortise_domains)" -- "$cur")) ;;
	--policy) COMPREPLY=($(compgen -W 'share none net' -- "$cur")) ;;
	--profile) COMPREPLY=($(compgen -W 'latency balanced frugal' -- "$cur")) ;;
	--log) COMPREPLY=($(compgen -W 'error notice debug' -- "$cur") $(compgen -f -- "$cur")) ;;
	--dir) COMPREPLY=($(compgen -d -- "$cur")) ;;
	--svg | --pcap) COMPREPLY=($(compgen -f -- "$cur")) ;;
	--tap | --address | --gateway | --mtu | --interval | --timeout | --size | --ttl | --spin-us | --exclude | --listen | --delay | --count | --filter | --sort | --rounds) ;;
	*) return 1 ;;
	esac
}

# The words of ss's filter, by the one before.
_mortise_filter()
{
	local states='established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait closed
		close-wait last-ack listening closing all connected synchronized bucket big'

	case $1 in
	state | exclude) COMPREPLY=($(compgen -W "$states" -- "$cur")) ;;
	sport | dport) COMPREPLY=($(compgen -W '= != > < >= <= eq ne gt lt ge le' -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W 'state exclude sport dport src dst and or not' -- "$cur")) ;;
	esac
}

_mortise()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]} i word

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "$(_mortise_verbs) --help --version" -- "$cur"))
		return
	fi
	# "--policy=share" comes as three words.
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [ "$prev" = --color ]; then
		[ "${COMP_WORDS[COMP_CWORD - 1]}" = = ] || [ "${COMP_WORDS[COMP_CWORD]}" = = ] &&
			COMPREPLY=($(compgen -W 'always never auto' -- "$cur")) && return
	fi
	# A program and what belongs to it: as if it stood alone.
	if [ "$verb" = run ] || [ "$verb" = doctor ]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			word=${COMP_WORDS[i]}
			case $word in
			--) i=$((i + 1)) && break ;;
			--domain | --policy | --profile | --log | --dir | --spin-us | --exclude)
				[ "${COMP_WORDS[i + 1]}" = = ] && i=$((i + 1))
				i=$((i + 1)) ;;
			-*) ;;
			*) break ;;
			esac
		done
		if [ "$i" -lt "$COMP_CWORD" ] && declare -F _command_offset >/dev/null; then
			_command_offset "$i"
			return
		elif [ "$i" -lt "$COMP_CWORD" ]; then
			COMPREPLY=($(compgen -f -- "$cur"))
			return
		fi
	fi
	[ "$prev" != -- ] && _mortise_value "$prev" "$verb" && return
	case $cur in
	-*) [ "$prev" = -- ] || COMPREPLY=($(compgen -W "$(_mortise_options "$verb")" -- "$cur")) ;;
	*)
		case $verb in
		run | doctor) COMPREPLY=($(compgen -c -- "$cur")) ;;
		ss) _mortise_filter "$prev" ;;
		up | down | status) COMPREPLY=($(compgen -W "$(_mortise_domains)" -- "$cur")) ;;
		help) COMPREPLY=($(compgen -W "$(_mortise_verbs)" -- "$cur")) ;;
		esac
		;;
	esac
}

complete -F _mortise mortise
