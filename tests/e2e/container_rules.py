"""The agent's policy decides, container by container, what the guest's APIs give."""

# Beside a policy that allows what the host asks.
RULES = """
default GetResourceRequest := false
GetResourceRequest if input.container_name != "outsider"
"""


def check_container_rules(test, pod, sandbox):
    """In a pod with RULES, whose other containers have read the secret."""
    said = test.read_secret(pod, sandbox, "outsider")
    test.assertNotIn("the secret", said)
    test.assertIn("403", said)
