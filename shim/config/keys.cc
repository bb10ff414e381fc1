#include "shim/config/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

namespace coffer::shim {
namespace {

// ---- one assign() a type; set_key() has checked the kind ----

Status assign(bool& target, const Value& value) {
  target = std::get<bool>(value);
  return {};
}
Status assign(std::string& target, const Value& value) {
  const auto& text = std::get<std::string>(value);
  if (text.find('\0') != std::string::npos) {
    return fail(Code::kInvalidArgument, "holds a NUL character");
  }
  target = text;
  return {};
}
Status assign(std::vector<std::string>& target, const Value& value) {
  target = std::get<std::vector<std::string>>(value);
  return {};
}
Status assign(double& target, const Value& value) {
  const double number = std::get<double>(value);
  if (!std::isfinite(number)) return fail(Code::kInvalidArgument, "want a finite number");
  target = number;
  return {};
}
template <typename T>
  requires std::is_integral_v<T>
Status assign(T& target, const Value& value) {
  const auto number = std::get<std::int64_t>(value);
  if (!std::in_range<T>(number)) {
    return fail(Code::kInvalidArgument,
                fmt::format("got {}, want {} to {}", number, std::numeric_limits<T>::min(),
                            std::numeric_limits<T>::max()));
  }
  target = static_cast<T>(number);
  return {};
}

template <typename T>
struct Choice {
  std::string_view text;
  T value;
};
template <typename T>
constexpr std::array<Choice<T>, 0> kChoices{};
template <>
constexpr std::array kChoices<TeeSetting> = {
    Choice{"", TeeSetting::kUnset},  Choice{"none", TeeSetting::kNone},
    Choice{"snp", TeeSetting::kSnp}, Choice{"tdx", TeeSetting::kTdx},
    Choice{"tpm", TeeSetting::kTpm}, Choice{"sample", TeeSetting::kSample}};
template <>
constexpr std::array kChoices<Accelerator> = {Choice{"auto", Accelerator::kAuto},
                                              Choice{"kvm", Accelerator::kKvm},
                                              Choice{"tcg", Accelerator::kTcg}};
template <>
constexpr std::array kChoices<SharedFs> = {Choice{"none", SharedFs::kNone},
                                           Choice{"virtio-fs", SharedFs::kVirtioFs},
                                           Choice{"virtio-9p", SharedFs::kVirtio9p}};
template <>
constexpr std::array kChoices<NetworkModel> = {Choice{"tcfilter", NetworkModel::kTcFilter},
                                               Choice{"macvtap", NetworkModel::kMacvtap},
                                               Choice{"none", NetworkModel::kNone}};
template <>
constexpr std::array kChoices<EmptyDirMode> = {
    Choice{"shared-fs", EmptyDirMode::kSharedFs},
    Choice{"block-encrypted", EmptyDirMode::kBlockEncrypted},
    Choice{"block-plain", EmptyDirMode::kBlockPlain}};

template <typename T>
  requires std::is_enum_v<T>
Status assign(T& target, const Value& value) {
  const auto& text = std::get<std::string>(value);
  std::vector<std::string_view> known;
  for (const auto& choice : kChoices<T>) {
    if (choice.text == text) {
      target = choice.value;
      return {};
    }
    if (!choice.text.empty()) known.push_back(choice.text);
  }
  return fail(Code::kInvalidArgument,
              fmt::format("got '{}', want one of {}", text, fmt::join(known, ", ")));
}

// ---- what a member's type is called in the file ----

template <typename T>
constexpr Kind kind_for() {
  if constexpr (std::is_same_v<T, bool>) return Kind::kBool;
  if constexpr (std::is_integral_v<T>) return Kind::kInteger;
  if constexpr (std::is_floating_point_v<T>) return Kind::kFloat;
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return Kind::kStrings;
  return Kind::kString;
}

template <typename Class, typename T>
T member_type(T Class::*);

template <auto Section, auto Member>
Status set_member(Config& config, const Value& value) {
  return assign((config.*Section).*Member, value);
}

template <auto Member>
constexpr Key hypervisor(std::string_view name) {
  return {"hypervisor.qemu", name, kind_for<decltype(member_type(Member))>(),
          set_member<&Config::hypervisor, Member>};
}
template <auto Member>
constexpr Key agent(std::string_view name) {
  return {"agent.kata", name, kind_for<decltype(member_type(Member))>(),
          set_member<&Config::agent, Member>};
}
template <auto Member>
constexpr Key runtime(std::string_view name) {
  return {"runtime", name, kind_for<decltype(member_type(Member))>(),
          set_member<&Config::runtime, Member>};
}

// Go's timeouts are in seconds.
template <auto Member>
Status set_agent_seconds(Config& config, const Value& value) {
  const auto seconds = std::get<std::int64_t>(value);
  constexpr std::int64_t kMax = 7 * 24 * 3600;
  if (seconds < 0 || seconds > kMax) {
    return fail(Code::kInvalidArgument, fmt::format("got {}, want 0 to {} seconds", seconds, kMax));
  }
  config.agent.*Member = static_cast<std::uint64_t>(seconds) * 1000;
  return {};
}
template <auto Member>
constexpr Key agent_seconds(std::string_view section, std::string_view name) {
  return {section, name, Kind::kInteger, set_agent_seconds<Member>};
}

Status set_agent_debug(Config& config, const Value& value) {
  if (std::get<bool>(value)) config.agent.log_level = "debug";
  return {};
}
Status set_experimental(Config& config, const Value& value) {
  for (const auto& flag : std::get<std::vector<std::string>>(value)) {
    if (flag != "force_guest_pull") {
      return fail(Code::kInvalidArgument, fmt::format("feature '{}' is unknown", flag));
    }
    config.runtime.force_guest_pull = true;
  }
  return {};
}
// Names of what Coffer is anyway: any other value is an error.
template <char... Text>
Status want_only(Config&, const Value& value) {
  constexpr std::array kText = {Text...};
  const std::string_view want(kText.data(), kText.size());
  if (std::get<std::string>(value) == want) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("got '{}', Coffer has only '{}'", std::get<std::string>(value), want));
}

constexpr Key unsupported(std::string_view section, std::string_view name, Kind kind,
                          std::string_view inert = {}) {
  return {section, name, kind, nullptr, inert};
}

using H = HypervisorConfig;
using A = AgentConfig;
using R = RuntimeConfig;
constexpr std::string_view kQemu = "hypervisor.qemu";
constexpr std::string_view kAgent = "agent.kata";
constexpr std::string_view kMem = "agent.kata.mem_agent";
constexpr std::string_view kRuntime = "runtime";

constexpr auto kKeys = std::to_array<Key>({
    hypervisor<&H::path>("path"),
    hypervisor<&H::valid_hypervisor_paths>("valid_hypervisor_paths"),
    hypervisor<&H::kernel>("kernel"),
    hypervisor<&H::image>("image"),
    hypervisor<&H::initrd>("initrd"),
    hypervisor<&H::firmware>("firmware"),
    hypervisor<&H::firmware_volume>("firmware_volume"),
    hypervisor<&H::rootfs_type>("rootfs_type"),
    hypervisor<&H::kernel_params>("kernel_params"),
    hypervisor<&H::kernel_verity_params>("kernel_verity_params"),
    hypervisor<&H::valid_boot_paths>("valid_boot_paths"),
    hypervisor<&H::machine_type>("machine_type"),
    hypervisor<&H::machine_accelerators>("machine_accelerators"),
    hypervisor<&H::cpu_features>("cpu_features"),
    hypervisor<&H::accelerator>("accelerator"),
    hypervisor<&H::seccomp_sandbox>("seccomp_sandbox"),
    hypervisor<&H::seccomp_sandbox>("seccompsandbox"),
    hypervisor<&H::entropy_source>("entropy_source"),
    hypervisor<&H::valid_entropy_sources>("valid_entropy_sources"),
    hypervisor<&H::enable_debug>("enable_debug"),
    hypervisor<&H::disable_selinux>("disable_selinux"),
    hypervisor<&H::tee>("tee"),
    hypervisor<&H::tee_emulation>("tee_emulation"),
    hypervisor<&H::tee_emulation_vendor>("tee_emulation_vendor"),
    hypervisor<&H::confidential_guest>("confidential_guest"),
    hypervisor<&H::sev_snp_guest>("sev_snp_guest"),
    hypervisor<&H::snp_id_block>("snp_id_block"),
    hypervisor<&H::snp_id_auth>("snp_id_auth"),
    hypervisor<&H::snp_guest_policy>("snp_guest_policy"),
    hypervisor<&H::tdx_quote_generation_service_socket_port>(
        "tdx_quote_generation_service_socket_port"),
    hypervisor<&H::initdata>("initdata"),
    hypervisor<&H::policy>("policy"),
    hypervisor<&H::default_vcpus>("default_vcpus"),
    hypervisor<&H::default_maxvcpus>("default_maxvcpus"),
    hypervisor<&H::default_memory>("default_memory"),
    hypervisor<&H::default_maxmemory>("default_maxmemory"),
    hypervisor<&H::memory_slots>("memory_slots"),
    hypervisor<&H::memory_offset>("memory_offset"),
    hypervisor<&H::overhead_vcpus>("overhead_vcpus"),
    hypervisor<&H::overhead_memory>("overhead_memory"),
    hypervisor<&H::default_bridges>("default_bridges"),
    hypervisor<&H::enable_mem_prealloc>("enable_mem_prealloc"),
    hypervisor<&H::enable_hugepages>("enable_hugepages"),
    hypervisor<&H::reclaim_guest_freed_memory>("reclaim_guest_freed_memory"),
    hypervisor<&H::shared_fs>("shared_fs"),
    hypervisor<&H::virtio_fs_daemon>("virtio_fs_daemon"),
    hypervisor<&H::valid_virtio_fs_daemon_paths>("valid_virtio_fs_daemon_paths"),
    hypervisor<&H::virtio_fs_cache>("virtio_fs_cache"),
    hypervisor<&H::virtio_fs_cache_size>("virtio_fs_cache_size"),
    hypervisor<&H::virtio_fs_queue_size>("virtio_fs_queue_size"),
    hypervisor<&H::virtio_fs_extra_args>("virtio_fs_extra_args"),
    hypervisor<&H::msize_9p>("msize_9p"),
    hypervisor<&H::disable_block_device_use>("disable_block_device_use"),
    hypervisor<&H::block_device_driver>("block_device_driver"),
    hypervisor<&H::block_device_aio>("block_device_aio"),
    hypervisor<&H::block_device_cache_set>("block_device_cache_set"),
    hypervisor<&H::block_device_cache_direct>("block_device_cache_direct"),
    hypervisor<&H::block_device_cache_noflush>("block_device_cache_noflush"),
    hypervisor<&H::block_device_logical_sector_size>("block_device_logical_sector_size"),
    hypervisor<&H::block_device_physical_sector_size>("block_device_physical_sector_size"),
    hypervisor<&H::queue_size>("queue_size"),
    hypervisor<&H::num_queues>("num_queues"),
    hypervisor<&H::network_queues>("network_queues"),
    hypervisor<&H::disable_vhost_net>("disable_vhost_net"),
    hypervisor<&H::enable_annotations>("enable_annotations"),
    unsupported(kQemu, "vm_rootfs_driver", Kind::kString, "virtio-blk-pci"),
    unsupported(kQemu, "guest_extension_images", Kind::kTable),
    unsupported(kQemu, "pflashes", Kind::kStrings),
    unsupported(kQemu, "enable_virtio_mem", Kind::kBool),
    unsupported(kQemu, "enable_iothreads", Kind::kBool),
    unsupported(kQemu, "indep_iothreads", Kind::kInteger),
    unsupported(kQemu, "enable_iommu", Kind::kBool),
    unsupported(kQemu, "enable_iommu_platform", Kind::kBool),
    unsupported(kQemu, "enable_numa", Kind::kBool),
    unsupported(kQemu, "numa_mapping", Kind::kStrings),
    unsupported(kQemu, "enable_vhost_user_store", Kind::kBool),
    // Without enable_vhost_user_store these three ask for nothing.
    unsupported(kQemu, "vhost_user_store_path", Kind::kString, "*"),
    unsupported(kQemu, "valid_vhost_user_store_paths", Kind::kStrings, "*"),
    unsupported(kQemu, "vhost_user_reconnect_timeout_sec", Kind::kInteger),
    unsupported(kQemu, "file_mem_backend", Kind::kString),
    unsupported(kQemu, "valid_file_mem_backends", Kind::kStrings, "*"),
    // The image is always a virtio-blk disk, so disabling nvdimm asks for nothing.
    unsupported(kQemu, "disable_image_nvdimm", Kind::kBool, "true"),
    unsupported(kQemu, "hot_plug_vfio", Kind::kString, "no-port"),
    unsupported(kQemu, "cold_plug_vfio", Kind::kString, "no-port"),
    unsupported(kQemu, "hotplug_vfio_on_root_bus", Kind::kBool),
    unsupported(kQemu, "pcie_root_port", Kind::kInteger),
    unsupported(kQemu, "pcie_switch_port", Kind::kInteger),
    unsupported(kQemu, "disable_nesting_checks", Kind::kBool, "true"),
    unsupported(kQemu, "guest_hook_path", Kind::kString),
    unsupported(kQemu, "rx_rate_limiter_max_rate", Kind::kInteger),
    unsupported(kQemu, "tx_rate_limiter_max_rate", Kind::kInteger),
    unsupported(kQemu, "guest_memory_dump_path", Kind::kString),
    unsupported(kQemu, "guest_memory_dump_paging", Kind::kBool),
    unsupported(kQemu, "enable_guest_swap", Kind::kBool),
    unsupported(kQemu, "use_legacy_serial", Kind::kBool, "true"),
    unsupported(kQemu, "measurement_algo", Kind::kString),
    unsupported(kQemu, "rootless", Kind::kBool),
    unsupported(kQemu, "extra_monitor_socket", Kind::kString),
    unsupported(kQemu, "disable_guest_selinux", Kind::kBool, "true"),
    unsupported(kQemu, "default_gpus", Kind::kInteger),
    unsupported(kQemu, "default_gpu_model", Kind::kString),
    unsupported(kQemu, "jailer_path", Kind::kString),
    unsupported(kQemu, "valid_jailer_paths", Kind::kStrings, "*"),
    unsupported(kQemu, "ctlpath", Kind::kString),
    unsupported(kQemu, "valid_ctlpaths", Kind::kStrings, "*"),

    unsupported("hypervisor.qemu.factory", "enable_template", Kind::kBool),
    unsupported("hypervisor.qemu.factory", "template_path", Kind::kString, "*"),
    unsupported("hypervisor.qemu.factory", "vm_cache_number", Kind::kInteger),
    unsupported("hypervisor.qemu.factory", "vm_cache_endpoint", Kind::kString, "*"),
    unsupported("factory", "enable_template", Kind::kBool),
    unsupported("factory", "template_path", Kind::kString, "*"),
    unsupported("factory", "vm_cache_number", Kind::kInteger),
    unsupported("factory", "vm_cache_endpoint", Kind::kString, "*"),

    {kAgent, "enable_debug", Kind::kBool, set_agent_debug},
    agent<&A::log_level>("log_level"),
    agent<&A::debug_console_enabled>("debug_console_enabled"),
    agent<&A::enable_tracing>("enable_tracing"),
    agent<&A::kernel_modules>("kernel_modules"),
    agent<&A::dial_timeout_ms>("dial_timeout_ms"),
    agent<&A::reconnect_timeout_ms>("reconnect_timeout_ms"),
    agent<&A::attestation_required>("attestation_required"),
    agent<&A::cdh_api_timeout_ms>("cdh_api_timeout_ms"),
    agent<&A::health_check_request_timeout_ms>("health_check_request_timeout_ms"),
    agent_seconds<&A::reconnect_timeout_ms>(kAgent, "dial_timeout"),
    agent_seconds<&A::cdh_api_timeout_ms>(kAgent, "cdh_api_timeout"),
    agent_seconds<&A::launch_process_timeout_ms>(kAgent, "launch_process_timeout"),
    agent_seconds<&A::create_container_timeout_ms>(kAgent, "create_container_timeout"),
    agent<&A::server_port>("server_port"),
    agent<&A::log_port>("log_port"),
    agent<&A::container_pipe_size>("container_pipe_size"),
    agent<&A::policy>("policy"),
    unsupported(kAgent, "passfd_listener_port", Kind::kInteger, "1027"),
    unsupported(kAgent, "visible_cdi_devices", Kind::kBool),
    unsupported(kAgent, "mem_agent_enable", Kind::kBool),
    unsupported(kMem, "mem_agent_enable", Kind::kBool),
    // With mem_agent_enable false, none of these asks for anything.
    unsupported(kMem, "memcg_disable", Kind::kBool, "*"),
    unsupported(kMem, "memcg_swap", Kind::kBool, "*"),
    unsupported(kMem, "memcg_swappiness_max", Kind::kInteger, "*"),
    unsupported(kMem, "memcg_period_secs", Kind::kInteger, "*"),
    unsupported(kMem, "memcg_period_psi_percent_limit", Kind::kInteger, "*"),
    unsupported(kMem, "memcg_eviction_psi_percent_limit", Kind::kInteger, "*"),
    unsupported(kMem, "memcg_eviction_run_aging_count_min", Kind::kInteger, "*"),
    unsupported(kMem, "compact_disable", Kind::kBool, "*"),
    unsupported(kMem, "compact_period_secs", Kind::kInteger, "*"),
    unsupported(kMem, "compact_period_psi_percent_limit", Kind::kInteger, "*"),
    unsupported(kMem, "compact_psi_percent_limit", Kind::kInteger, "*"),
    unsupported(kMem, "compact_sec_max", Kind::kInteger, "*"),
    unsupported(kMem, "compact_order", Kind::kInteger, "*"),
    unsupported(kMem, "compact_threshold", Kind::kInteger, "*"),
    unsupported(kMem, "compact_force_times", Kind::kInteger, "*"),

    runtime<&R::enable_debug>("enable_debug"),
    runtime<&R::internetworking_model>("internetworking_model"),
    runtime<&R::disable_new_netns>("disable_new_netns"),
    runtime<&R::disable_guest_seccomp>("disable_guest_seccomp"),
    runtime<&R::sandbox_cgroup_only>("sandbox_cgroup_only"),
    runtime<&R::static_sandbox_resource_mgmt>("static_sandbox_resource_mgmt"),
    runtime<&R::enable_vcpus_pinning>("enable_vcpus_pinning"),
    runtime<&R::guest_selinux_label>("guest_selinux_label"),
    runtime<&R::sandbox_bind_mounts>("sandbox_bind_mounts"),
    runtime<&R::disable_guest_empty_dir>("disable_guest_empty_dir"),
    runtime<&R::emptydir_mode>("emptydir_mode"),
    runtime<&R::force_guest_pull>("experimental_force_guest_pull"),
    {kRuntime, "experimental", Kind::kStrings, set_experimental},
    agent_seconds<&A::create_container_timeout_ms>(kRuntime, "create_container_timeout"),
    runtime<&R::kubelet_root_dir>("kubelet_root_dir"),
    runtime<&R::dan_conf>("dan_conf"),
    runtime<&R::keep_abnormal>("keep_abnormal"),
    {kRuntime, "name", Kind::kString,
     want_only<'v', 'i', 'r', 't', '_', 'c', 'o', 'n', 't', 'a', 'i', 'n', 'e', 'r'>},
    {kRuntime, "hypervisor_name", Kind::kString, want_only<'q', 'e', 'm', 'u'>},
    {kRuntime, "agent_name", Kind::kString, want_only<'k', 'a', 't', 'a'>},
    unsupported(kRuntime, "enable_tracing", Kind::kBool),
    unsupported(kRuntime, "jaeger_endpoint", Kind::kString),
    unsupported(kRuntime, "jaeger_user", Kind::kString),
    unsupported(kRuntime, "jaeger_password", Kind::kString),
    unsupported(kRuntime, "vfio_mode", Kind::kString, "guest-kernel"),
    unsupported(kRuntime, "enable_pprof", Kind::kBool),
    unsupported(kRuntime, "pod_resource_api_sock", Kind::kString),
    unsupported(kRuntime, "shared_mounts", Kind::kTable),
    unsupported(kRuntime, "use_passfd_io", Kind::kBool),
    unsupported(kRuntime, "log_level", Kind::kString, "*"),
});

}  // namespace

std::span<const Key> all_keys() { return kKeys; }

const Key* find_key(std::string_view section, std::string_view name) {
  const auto it = std::ranges::find_if(
      kKeys, [&](const Key& key) { return key.section == section && key.name == name; });
  return it == kKeys.end() ? nullptr : &*it;
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(kKeys, [&](const Key& key) {
    return key.section == name ||
           (key.section.starts_with(name) && key.section.substr(name.size()).starts_with('.'));
  });
}

Status set_key(const Key& key, Config& config, const Value& value) {
  const Kind got = kind_of(value);
  if (key.kind == Kind::kFloat && got == Kind::kInteger) {
    return set_key(key, config, Value(static_cast<double>(std::get<std::int64_t>(value))));
  }
  if (got != key.kind) {
    // `shared_mounts = []` and the like: an empty array of tables.
    if (key.set == nullptr && is_inert(value)) return {};
    return fail(Code::kInvalidArgument,
                fmt::format("got {}, want {}", kind_name(got), kind_name(key.kind)));
  }
  return key.set == nullptr ? Status{} : key.set(config, value);
}

}  // namespace coffer::shim
