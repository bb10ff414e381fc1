#include "policy/agent/request_input.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "policy/value/json.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::policy {
namespace {

std::string encoded(const google::protobuf::Message& request) {
  RequestEncoder encoder;
  const auto value = encoder.encode(request);
  return value ? to_json(*value) : "!" + value.error().message();
}

TEST(RequestInput, ShowsEveryFieldAlsoWhenItIsNotSet) {
  EXPECT_EQ(encoded(grpc::ExecProcessRequest()),
            R"({"container_id":"","exec_id":"","process":null,"stderr_port":0,"stdin_port":0,)"
            R"("stdout_port":0,"string_user":null})");
  EXPECT_EQ(encoded(grpc::DestroySandboxRequest()), "{}");
}

TEST(RequestInput, KeepsTheNamesAndRendersAsKataDoes) {
  grpc::CreateContainerRequest request;
  request.add_devices()->set_type("blk");
  auto* mount = request.mutable_oci()->add_mounts();
  mount->set_type("proc");
  (*request.mutable_oci()->mutable_annotations())["k"] = "v";
  request.mutable_oci()->mutable_linux()->add_namespaces()->set_type("ipc");
  auto* syscall = request.mutable_oci()->mutable_linux()->mutable_seccomp()->add_syscalls();
  syscall->set_errnoret(38);
  const auto value = RequestEncoder().encode(request);
  ASSERT_TRUE(value);
  EXPECT_EQ(to_json(*value->find("devices")->items()[0].find("type_")), R"("blk")");
  const Value& oci = *value->find("OCI");
  EXPECT_EQ(to_json(*oci.find("Annotations")), R"({"k":"v"})");
  EXPECT_EQ(to_json(*oci.find("Process")), "null");
  EXPECT_EQ(to_json(*oci.find("Mounts")),
            R"([{"destination":"","options":[],"source":"","type_":"proc"}])");
  const Value& linux_part = *oci.find("Linux");
  EXPECT_EQ(to_json(*linux_part.find("Namespaces")), R"([{"Path":"","Type":"ipc"}])");
  EXPECT_EQ(to_json(*linux_part.find("Sysctl")), "{}");
  const Value& seccomp = *linux_part.find("Seccomp");
  EXPECT_EQ(to_json(*seccomp.find("Syscalls")),
            R"([{"Action":"","Args":[],"ErrnoRet":{"Errnoret":38},"Names":[]}])");
}

// A rule would see all of the text, the kernel and crun what stands before the NUL byte.
TEST(RequestInput, RefusesTextsWithANulByte) {
  using std::string_literals::operator""s;
  grpc::CreateContainerRequest request;
  request.mutable_oci()->mutable_root()->set_path("/\0/run/kata-containers/a/rootfs"s);
  EXPECT_EQ(encoded(request), "!read CreateContainerRequest: 'grpc.Root.Path' holds a NUL byte");
  request.mutable_oci()->clear_root();
  request.mutable_oci()->mutable_process()->add_args("/bin/sh\0-c"s);
  EXPECT_EQ(encoded(request), "!read CreateContainerRequest: 'grpc.Process.Args' holds a NUL byte");
  request.mutable_oci()->clear_process();
  (*request.mutable_oci()->mutable_annotations())["a\0b"s] = "";
  EXPECT_TRUE(encoded(request).ends_with("holds a NUL byte")) << encoded(request);
  grpc::CopyFileRequest copy;
  copy.set_path("/a\0b"s);
  EXPECT_EQ(encoded(copy), "!read CopyFileRequest: 'path' holds a NUL byte");
  RequestEncoder encoder;
  EXPECT_FALSE(encoder.encode(request));
  EXPECT_TRUE(encoder.encode(grpc::CreateContainerRequest())) << "the next one is read anew";
}

TEST(RequestInput, RendersBytesLargeNumbersEnumsAndOptionalScalars) {
  grpc::WriteStreamRequest write;
  write.set_data(std::string("\x00\xff", 2));
  EXPECT_EQ(encoded(write), R"({"container_id":"","data":[0,255],"exec_id":""})");

  grpc::MemHotplugByProbeRequest probe;
  probe.add_memhotplugprobeaddr(UINT64_MAX);
  EXPECT_EQ(encoded(probe), R"({"memHotplugProbeAddr":[18446744073709551615]})");

  grpc::UpdateInterfaceRequest interface;
  interface.mutable_interface()->add_ipaddresses()->set_family(types::v6);
  const auto value = RequestEncoder().encode(interface);
  ASSERT_TRUE(value);
  EXPECT_EQ(to_json(*value->find("interface")->find("IPAddresses")),
            R"([{"address":"","family":1,"mask":""}])");

  grpc::MemAgentCompactConfig compact;
  compact.set_disabled(false);
  const auto config = RequestEncoder().encode(compact);
  ASSERT_TRUE(config);
  EXPECT_EQ(to_json(*config->find("disabled")), "false");
  EXPECT_EQ(to_json(*config->find("period_secs")), "null");
}

TEST(RequestInput, ShowsACopiedFileWithoutItsContent) {
  grpc::CopyFileRequest request;
  request.set_path("/p");
  request.set_data("secret");
  request.set_file_mode(S_IFREG | 0644U);
  EXPECT_EQ(encoded(request),
            R"({"dir_mode":0,"file_mode":33188,"file_size":0,"file_type":"Regular","gid":0,)"
            R"("offset":0,"path":"/p","symlink_target":null,"uid":0})");

  request.set_file_mode(S_IFLNK | 0777U);
  EXPECT_NE(encoded(request).find(R"("symlink_target":"secret")"), std::string::npos);
  request.set_data("\xff");
  EXPECT_EQ(encoded(request), "!CopyFileRequest: the symlink target is not UTF-8");

  // Kinds are told by the whole type field: a socket is no directory though it has that bit.
  request.set_file_mode(S_IFSOCK);
  EXPECT_NE(encoded(request).find(R"("file_type":"Unknown")"), std::string::npos);
}

// The encoder's switch covers the types that the API has: this walks all of it.
TEST(RequestInput, KnowsEveryFieldTypeOfTheApi) {
  using google::protobuf::FieldDescriptor;
  std::set<const google::protobuf::Descriptor*> seen;
  std::vector<const google::protobuf::Descriptor*> queue;
  const auto* service = grpc::CopyFileRequest::descriptor()->file();
  for (int i = 0; i < service->message_type_count(); ++i) queue.push_back(service->message_type(i));
  while (!queue.empty()) {
    const auto* message = queue.back();
    queue.pop_back();
    if (!seen.insert(message).second) continue;
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor* field = message->field(i);
      const auto type = field->cpp_type();
      EXPECT_NE(type, FieldDescriptor::CPPTYPE_DOUBLE) << field->full_name();
      EXPECT_NE(type, FieldDescriptor::CPPTYPE_FLOAT) << field->full_name();
      if (field->is_repeated() && !field->is_map()) {
        EXPECT_TRUE(
            type == FieldDescriptor::CPPTYPE_UINT32 || type == FieldDescriptor::CPPTYPE_UINT64 ||
            type == FieldDescriptor::CPPTYPE_MESSAGE || type == FieldDescriptor::CPPTYPE_STRING)
            << field->full_name();
      }
      if (type == FieldDescriptor::CPPTYPE_MESSAGE) queue.push_back(field->message_type());
    }
  }
  EXPECT_GT(seen.size(), 80U);
}

}  // namespace
}  // namespace coffer::policy
