#include "attestation/service/default_policies.h"

namespace coffer::appraisal {

// A reference value may be a list of what is allowed, or the one value. Nothing is compared with
// `>=` unless both are numbers: in Rego every value has a place in the order, also null.
std::string_view default_cpu_policy() {
  return R"rego(# Appraises the CPU part of a guest's evidence.
# AR4SI: 2 and 3 affirm, 33 and 36 warn, 97 contradicts.
package policy

import rego.v1

default executables := 33

default hardware := 97

default configuration := 36

trust_claims := {
	"executables": executables,
	"hardware": hardware,
	"configuration": configuration,
}

# The claim is the reference value of that name, or one of them. A claim that is null is none, and
# so is the answer for a value that is not there: the two are no match.
matches(claim, name) if {
	claim != null
	claim in query_reference_value(name)
}

matches(claim, name) if {
	claim != null
	claim == query_reference_value(name)
}

# Init data brings the agent's policy, and whoever starts a guest chooses it: what the evidence binds
# has to be known. Where it binds none (zeros), the policy of the image applies, which is measured
# with the image. A sample says "".
default init_data_bound := true

init_data_bound := false if {
	input.init_data != ""
	trim(input.init_data, "0") == ""
}

# A guest of ours with a TPM closes PCR 8 with the digest of nothing.
init_data_bound := false if {
	input.tpm
	input.init_data == "1c9ecec90e28d2461650418635878a5c91e49f47586ecf75f2b0cbb94e897112"
}

init_data_bound := false if {
	input.sample
	input.init_data == ""
}

init_data_known if not init_data_bound

init_data_known if {
	init_data_bound
	matches(input.init_data, "init_data")
}

# sample: proves nothing; its claims are what it says of itself.
executables := 3 if matches(input.sample.launch_digest, "launch_digest")

hardware := 2 if {
	matches(input.sample.svn, "svn")
	matches(input.sample.platform_version.major, "major_version")
	minimum := query_reference_value("minimum_minor_version")
	is_number(minimum)
	input.sample.platform_version.minor >= minimum
}

configuration := 2 if {
	init_data_known
	input.sample.debug == false
}

# AMD SEV-SNP
executables := 3 if matches(input.snp.measurement, "snp_launch_measurement")

hardware := 2 if {
	matches(input.snp.reported_tcb_bootloader, "snp_bootloader")
	matches(input.snp.reported_tcb_microcode, "snp_microcode")
	matches(input.snp.reported_tcb_snp, "snp_snp_svn")
	matches(input.snp.reported_tcb_tee, "snp_tee_svn")
}

snp_private if {
	input.snp.policy_debug_allowed == false
	input.snp.policy_migrate_ma == false
}

configuration := 2 if {
	init_data_known
	snp_private
	matches(input.snp.platform_smt_enabled, "snp_smt_enabled")
	matches(input.snp.platform_tsme_enabled, "snp_tsme_enabled")
	matches(input.snp.policy_abi_major, "snp_guest_abi_major")
	matches(input.snp.policy_abi_minor, "snp_guest_abi_minor")
	matches(input.snp.policy_single_socket, "snp_single_socket")
	matches(input.snp.policy_smt_allowed, "snp_smt_allowed")
} else := 3 if {
	init_data_known
	snp_private
}

# Intel TDX
tdx_kernel if {
	matches(input.tdx.quote.body.rtmr_1, "rtmr_1")
	matches(input.tdx.quote.body.rtmr_2, "rtmr_2")
}

executables := 3 if {
	tdx_kernel
	some kernel in input.tdx.uefi_event_logs
	kernel.type_name == "EV_EFI_BOOT_SERVICES_APPLICATION"
	"File(kernel)" in kernel.details.device_paths
	matches(kernel.digests[0].digest, "tdvfkernel")
	some options in input.tdx.uefi_event_logs
	options.type_name == "EV_EVENT_TAG"
	options.details.string == "LOADED_IMAGE::LoadOptions"
	matches(options.digests[0].digest, "tdvfkernelparams")
} else := 4 if {
	tdx_kernel
}

hardware := 2 if {
	input.tdx.quote.header.tee_type == "81000000"
	input.tdx.quote.header.vendor_id == "939a7233f79c4ca9940a0db3957f0607"
	matches(input.tdx.quote.body.mr_td, "mr_td")
	input.tdx.tcb_status == "UpToDate"
	input.tdx.collateral_expiration_status == "0"
}

configuration := 2 if {
	init_data_known
	input.tdx.td_attributes.debug == false
	matches(input.tdx.quote.body.xfam, "xfam")
}

# A vTPM. Its key is one that a configured root has certified, or one that is known.
tpm_key if input.tpm.ak_certified == true

tpm_key if matches(input.tpm.ak_public, "trusted_aks")

# What was booted: a unified kernel image, which extends PCR 11 (one that nothing has extended tells
# nothing), or a kernel that firmware was given beside its initrd and command line.
tpm_boot if {
	input.tpm.pcr11 != "0000000000000000000000000000000000000000000000000000000000000000"
	matches(input.tpm.pcr11, "tpm_pcr11")
}

tpm_boot if {
	matches(input.tpm.pcr04, "tpm_pcr04")
	matches(input.tpm.pcr09, "tpm_pcr09")
}

executables := 3 if {
	tpm_boot
	tpm_key
}

hardware := 2 if input.tpm

# Of a VM's configuration nothing is known: no claim. Its init data is.
configuration := 0 if {
	input.tpm
	init_data_known
}

# Azure: a vTPM that the hardware vouches for. All of SNP's claims are texts there.
executables := 3 if {
	matches(input["az-snp-vtpm"].measurement, "measurement")
	matches(input["az-snp-vtpm"].tpm.pcr11, "snp_pcr11")
}

hardware := 2 if {
	matches(input["az-snp-vtpm"].reported_tcb_bootloader, "tcb_bootloader")
	matches(input["az-snp-vtpm"].reported_tcb_microcode, "tcb_microcode")
	matches(input["az-snp-vtpm"].reported_tcb_snp, "tcb_snp")
	matches(input["az-snp-vtpm"].reported_tcb_tee, "tcb_tee")
}

# Trustee's does not look at these two; a debugger reads everything.
configuration := 2 if {
	init_data_known
	input["az-snp-vtpm"].policy_debug_allowed == "false"
	input["az-snp-vtpm"].policy_migrate_ma == "false"
	matches(input["az-snp-vtpm"].platform_smt_enabled, "smt_enabled")
	matches(input["az-snp-vtpm"].platform_tsme_enabled, "tsme_enabled")
	matches(input["az-snp-vtpm"].policy_abi_major, "abi_major")
	matches(input["az-snp-vtpm"].policy_abi_minor, "abi_minor")
	matches(input["az-snp-vtpm"].policy_single_socket, "single_socket")
	matches(input["az-snp-vtpm"].policy_smt_allowed, "smt_allowed")
}

executables := 3 if matches(input["az-tdx-vtpm"].tpm.pcr11, "tdx_pcr11")

hardware := 2 if {
	input["az-tdx-vtpm"].quote.header.tee_type == "81000000"
	input["az-tdx-vtpm"].quote.header.vendor_id == "939a7233f79c4ca9940a0db3957f0607"
	matches(input["az-tdx-vtpm"].quote.body.mr_td, "mr_td")
	input["az-tdx-vtpm"].tcb_status == "UpToDate"
	input["az-tdx-vtpm"].collateral_expiration_status == "0"
}

configuration := 2 if {
	init_data_known
	input["az-tdx-vtpm"].td_attributes.debug == false
	matches(input["az-tdx-vtpm"].quote.body.xfam, "xfam")
}

# What the guest's own policy, bound by its init data, allows to run.
images contains image if {
	some container in input.init_data_claims.agent_policy_claims.containers
	image := container.OCI.Annotations["io.kubernetes.cri.image-name"]
}

users contains user if {
	some container in input.init_data_claims.agent_policy_claims.containers
	user := container.OCI.Process.User.UID
}

extensions := [{
	"name": "ear.trustee.identifiers",
	"key": -18,
	"value": {"validated": {
		"container_images": [image | some image in images],
		"container_uids": [user | some user in users],
	}},
}]
)rego";
}

std::string_view default_resource_policy() {
  return R"rego(# Who gets a resource: input is the token's claims, data says what is asked for.
package policy

import rego.v1

default allow := false

parts := [part | some part in input.submods]

allow if {
	data.plugin == "resource"
	count(parts) > 0
	every part in parts {
		part["ear.status"] == "affirming"
	}
	not proves_nothing
}

proves_nothing if {
	some part in parts
	part["ear.veraison.annotated-evidence"].sample
}
)rego";
}

}  // namespace coffer::appraisal
