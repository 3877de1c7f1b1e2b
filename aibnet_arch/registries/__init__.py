"""BasicSR's registries: who owns a name, plugins, networks of others."""
