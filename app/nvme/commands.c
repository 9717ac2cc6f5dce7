/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of commands and their options; a command knows its options by their order. */
#include <rte_common.h>

#include "cmds.h"

static const struct cli_option list_ns_options[] = {
	{"all", 'a', CLI_FLAG, "also those that are not attached"}, {0}};
static const struct cli_option error_options[] = {
	{"log-entries", 'e', CLI_NUM, "entries to read (64, or what there are)"}, {0}};
static const struct cli_option log_options[] = {{"log-id", 'i', CLI_NUM, "log page"},
	{"log-len", 'l', CLI_NUM, "bytes"}, {"lsp", 's', CLI_NUM, "log specific field (0)"},
	{"lpo", 'L', CLI_NUM, "offset in bytes (0)"},
	{"rae", 'r', CLI_FLAG, "keep the event that announced it"}, {0}};
static const struct cli_option get_feature_options[] = {{"feature-id", 'f', CLI_NUM, "feature"},
	{"sel", 's', CLI_NUM, "0 current, 1 default, 2 saved, 3 supported capabilities"},
	{"data-len", 'l', CLI_NUM, "bytes of data (the feature's)"},
	{"cdw11", 'c', CLI_NUM, "command dword 11 (0)"}, {0}};
static const struct cli_option set_feature_options[] = {{"feature-id", 'f', CLI_NUM, "feature"},
	{"value", 'v', CLI_NUM, "command dword 11"},
	{"cdw12", 'c', CLI_NUM, "command dword 12 (0)"},
	{"data-len", 'l', CLI_NUM, "bytes of data (the feature's)"},
	{"data", 'd', CLI_STRING, "file with the data; - for stdin"},
	{"save", 's', CLI_FLAG, "also over power cycles"}, {0}};
static const struct cli_option format_options[] = {{"lbaf", 'l', CLI_NUM, "LBA format (0)"},
	{"ses", 's', CLI_NUM, "secure erase: 0 no, 1 user data, 2 cryptographic"},
	{"pi", 'i', CLI_NUM, "protection information type (0)"},
	{"pil", 'p', CLI_NUM, "1: in the first bytes of metadata"},
	{"ms", 'm', CLI_NUM, "1: metadata with the data"},
	{"timeout", 't', CLI_NUM, "ms to wait (600000)"}, {0}};
static const struct cli_option sanitize_options[] = {
	{"sanact", 'a', CLI_NUM, "1 exit failure mode, 2 block erase, 3 overwrite, 4 crypto erase"},
	{"ause", 'u', CLI_FLAG, "allow unrestricted exit"},
	{"owpass", 'p', CLI_NUM, "overwrite passes, 0: 16"},
	{"oipbp", 'i', CLI_FLAG, "invert the pattern between passes"},
	{"no-dealloc", 'd', CLI_FLAG, "don't deallocate afterwards"},
	{"ovrpat", 'P', CLI_NUM, "overwrite pattern (0)"}, {0}};
static const struct cli_option download_options[] = {{"fw", 'f', CLI_STRING, "image file"},
	{"offset", 'O', CLI_NUM, "where it begins, bytes (0)"}, {0}};
static const struct cli_option commit_options[] = {{"slot", 's', CLI_NUM, "slot (0: any)"},
	{"action", 'a', CLI_NUM, "0 replace, 1 and at reset, 2 at reset, 3 now"},
	{"fw", 'f', CLI_STRING, "download this image file first"}, {0}};
static const struct cli_option self_test_options[] = {
	{"self-test-code", 's', CLI_NUM, "0 how it gets on, 1 short, 2 extended, 0xf abort"},
	{"wait", 'w', CLI_FLAG, "until it is over"}, {0}};
static const struct cli_option create_options[] = {{"nsze", 's', CLI_NUM, "size in blocks"},
	{"ncap", 'c', CLI_NUM, "capacity in blocks (nsze)"}, {"flbas", 'f', CLI_NUM, "format (0)"},
	{"dps", 'd', CLI_NUM, "protection (0)"}, {"nmic", 'm', CLI_NUM, "sharing (0)"}, {0}};
static const struct cli_option attach_options[] = {
	{"controllers", 'c', CLI_STRING, "ids, as 1,2 (this one)"}, {0}};
static const struct cli_option register_options[] = {
	{"crkey", 'c', CLI_NUM, "the key registered so far (0)"},
	{"nrkey", 'k', CLI_NUM, "the new one (0)"},
	{"rrega", 'r', CLI_NUM, "0 register, 1 unregister, 2 replace (0)"},
	{"cptpl", 'p', CLI_NUM, "through power loss: 0 as it is, 2 forget, 3 keep (0)"},
	{"iekey", 'i', CLI_FLAG, "whatever the key is"}, {0}};
static const struct cli_option acquire_options[] = {{"crkey", 'c', CLI_NUM, "this host's key (0)"},
	{"prkey", 'p', CLI_NUM, "key of who is preempted (0)"},
	{"rtype", 't', CLI_NUM,
		"1 write exclusive, 2 exclusive access; 3, 4 the same for registrants; 5, 6 held "
		"by "
		"all of them"},
	{"racqa", 'a', CLI_NUM, "0 acquire, 1 preempt, 2 preempt and abort (0)"},
	{"iekey", 'i', CLI_FLAG, "whatever the key is"}, {0}};
static const struct cli_option release_options[] = {{"crkey", 'c', CLI_NUM, "this host's key (0)"},
	{"rtype", 't', CLI_NUM, "its type (0)"}, {"rrela", 'a', CLI_NUM, "0 release, 1 clear (0)"},
	{"iekey", 'i', CLI_FLAG, "whatever the key is"}, {0}};
static const struct cli_option report_options[] = {
	{"eds", 'e', CLI_FLAG, "with host identifiers of 16 bytes, as hostid= sets them"}, {0}};
static const struct cli_option zones_options[] = {{"start-lba", 's', CLI_NUM, "from here on (0)"},
	{"descs", 'd', CLI_NUM, "zones at most (all)"}, {0}};

const struct cli_command cli_commands[] = {
	{"list", cmd_list, "all controllers bound to vfio-pci, or DEVICE", .no_device = true},
	{"id-ctrl", cmd_id_ctrl, "Identify Controller"},
	{"id-ns", cmd_id_ns, "Identify Namespace"},
	{"list-ns", cmd_list_ns, "namespace ids", list_ns_options},
	{"smart-log", cmd_smart_log, "health"},
	{"error-log", cmd_error_log, "the last errors", error_options},
	{"fw-log", cmd_fw_log, "firmware slots"},
	{"effects-log", cmd_effects_log, "supported commands and what they affect"},
	{"changed-ns-list-log", cmd_changed_ns, "namespaces that changed since it was read last"},
	{"sanitize-log", cmd_sanitize_log, "how sanitize gets on"},
	{"self-test-log", cmd_self_test_log, "results of self-tests"},
	{"get-log", cmd_get_log, "any log page", log_options},
	{"get-feature", cmd_get_feature, "a feature's value", get_feature_options},
	{"set-feature", cmd_set_feature, "change it", set_feature_options, .destroys = true},
	{"format", cmd_format, "format a namespace", format_options, .destroys = true},
	{"sanitize", cmd_sanitize, "begin to sanitize the subsystem", sanitize_options,
		.destroys = true},
	{"fw-download", cmd_fw_download, "send a firmware image", download_options,
		.destroys = true},
	{"fw-commit", cmd_fw_commit, "put it into a slot, activate a slot", commit_options,
		.destroys = true},
	{"device-self-test", cmd_self_test, "begin or abort a self-test", self_test_options},
	{"reset", cmd_reset, "reset the controller"},
	{"create-ns", cmd_create_ns, "create a namespace", create_options, .destroys = true},
	{"delete-ns", cmd_delete_ns, "delete it", NULL, .destroys = true},
	{"attach-ns", cmd_attach_ns, "attach it to controllers", attach_options},
	{"detach-ns", cmd_detach_ns, "detach it", attach_options, .destroys = true},
	{"resv-register", cmd_resv_register, "register a reservation key", register_options,
		.destroys = true},
	{"resv-acquire", cmd_resv_acquire, "reserve a namespace", acquire_options,
		.destroys = true},
	{"resv-release", cmd_resv_release, "let go of it", release_options, .destroys = true},
	{"resv-report", cmd_resv_report, "who registered, who holds it", report_options},
	{"report-zones", cmd_report_zones, "zones of a namespace", zones_options},
	{"admin-passthru", cmd_admin_passthru, "an admin command of yours", pass_options},
	{"io-passthru", cmd_io_passthru, "an I/O command of yours", pass_options},
};
const unsigned int cli_ncommand = RTE_DIM(cli_commands);
